//! From a sealed datagram to a grant, with real certificates; and each refusal with its reason.

mod addresses;
mod cross_signed;
mod slow_disk;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use sknock_protocol::v2::{ClaimedAddress, DATAGRAM_LENGTH, KnockRequest, Sealed, seal, seal_low};
use sknock_protocol::{
    Datagram, Encapsulation, Identity, KnockRules, PrivateKey, Refusal, Revocation, RevocationList,
    RevocationLists, ServerCertificate, ServerKey, Service, Timestamp, TrustStore, Verifier,
};
use sknock_server::knock::in_force::InForce;
use sknock_server::knock::pipeline::{Pipeline, Refused};
use sknock_server::knock::policy::{Grant, Policy};
use sknock_server::knock::refused_knocks::RefusedKnocks;
use sknock_server::knock::replay::{BootId, Journal, Memory, Recorded, ReplayEntry, ReplayStore};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// 2026-07-01; certificates and lists are valid around it.
const NOW: Timestamp = Timestamp::from_secs(1_782_864_000);
const WINDOW: Duration = Duration::from_secs(30);
const HOME: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), 4000);
const SERIAL: [u8; 2] = [0x11, 7];

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certified(authority: &Authority, name: &str, allowed: &[&str]) -> (PrivateKey, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&SERIAL));
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    let uris = allowed.iter().map(|text| format!("sknock:{text}").as_str().try_into().unwrap());
    params.subject_alt_names = uris.map(SanType::URI).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap().der().to_vec();
    (PrivateKey::from_pkcs8(key.serialize_der().into()), certificate)
}

fn revoking(authority: &Authority, trust_store: &TrustStore) -> RevocationList {
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 6, 30),
        next_update: date_time_ymd(2027, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from_slice(&SERIAL),
            revocation_time: date_time_ymd(2026, 6, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    RevocationList::verify(params.signed_by(authority).unwrap().der(), trust_store).unwrap()
}

struct World<R> {
    authority: Authority,
    server: ServerCertificate,
    pipeline: Pipeline<R>,
}

fn world_with<R>(replay: R) -> World<R> {
    world_by(replay, false)
}

fn world_by<R>(replay: R, unsigned_address: bool) -> World<R> {
    let authority = authority();
    let (key, certificate) = certified(&authority, "server", &[]);
    let trust_store = TrustStore::new(&[authority.as_ref().der().to_vec()], 16).unwrap();
    let rules = KnockRules { window: WINDOW, unsigned_address, second_address: false };
    let verifier = Verifier::new(ServerKey::new(&key, &certificate).unwrap(), trust_store, rules);
    let offered = ["tcp/1-200", "udp/53"].map(parse).to_vec();
    let (usual, longest) = (Duration::from_secs(15), Duration::from_secs(60));
    let pipeline = Pipeline {
        verifier: Arc::new(verifier),
        revocation: Arc::new(InForce::new(Revocation::NotConfigured)),
        replay,
        policy: Policy::new(Some(offered), usual, longest),
        refused_knocks: RefusedKnocks::default(),
    };
    World { authority, server: ServerCertificate::from_der(&certificate).unwrap(), pipeline }
}

fn world() -> World<Memory> {
    world_with(Memory::new(WINDOW, 1000))
}

fn parse(text: &str) -> Service {
    text.parse().unwrap()
}

/// Asks for SSH, from home, now.
fn wish() -> KnockRequest {
    KnockRequest {
        stamp: NOW,
        lifetime: None,
        single_use: false,
        answer: true,
        address: ClaimedAddress::Ip(HOME.ip()),
        second: None,
        services: vec![parse("tcp/22")],
    }
}

fn asking(services: &[&str]) -> KnockRequest {
    KnockRequest { services: services.iter().map(|text| parse(text)).collect(), ..wish() }
}

impl<R: ReplayStore> World<R> {
    fn client(&self, allowed: &[&str]) -> Identity {
        let (key, certificate) = certified(&self.authority, "alice", allowed);
        Identity::new(&key, &certificate).unwrap()
    }

    fn seal(&self, wish: &KnockRequest) -> Sealed {
        seal(&self.client(&["tcp/22-24", "udp/53", "tcp/9000"]), &self.server, wish).unwrap()
    }

    /// The same server after its store was dropped, as in a crash, and opened again.
    fn restarted(self, open: impl FnOnce() -> R) -> Self {
        let Pipeline { verifier, revocation, replay, policy, .. } = self.pipeline;
        drop(replay);
        let refused_knocks = RefusedKnocks::default();
        let pipeline = Pipeline { verifier, revocation, replay: open(), policy, refused_knocks };
        Self { pipeline, ..self }
    }

    fn handle(&self, payload: &[u8]) -> Result<Grant, Refused> {
        self.handle_from(Datagram::new(HOME, payload))
    }

    fn handle_from(&self, datagram: Datagram<'_>) -> Result<Grant, Refused> {
        self.pipeline.decide(self.pipeline.unveil(datagram, NOW)?, NOW)
    }

    fn refusal(&self, payload: &[u8]) -> Refusal {
        self.handle(payload).unwrap_err().reason
    }

    fn refusal_of(&self, wish: &KnockRequest) -> Refusal {
        let client = self.client(&["tcp/22-24", "udp/53", "tcp/9000"]);
        self.refusal(&seal_low(&client, &self.server, wish).unwrap().datagram)
    }
}

#[test]
fn a_knock_becomes_a_grant_once() {
    let world = world();
    let lifetime = NonZeroU16::new(61);
    let knock = world.seal(&KnockRequest { lifetime, ..wish() });

    let grant = world.handle(&knock.datagram).unwrap();
    assert_eq!(grant.id(), knock.id);
    assert_eq!((grant.source(), grant.claim().first()), (HOME, HOME.ip()));
    assert_eq!(grant.services(), [parse("tcp/22")]);
    assert_eq!((grant.lifetime(), grant.clipped()), (Duration::from_secs(60), true));
    assert_eq!((grant.subject().name.as_str(), grant.single_use()), ("alice", false));
    assert!(grant.answer_key().is_some());

    assert_eq!(world.refusal(&knock.datagram), Refusal::Repeated);
}

#[test]
fn asking_for_nothing_in_particular_gives_all_that_both_sides_allow() {
    let world = world();
    let grant = world.handle(&world.seal(&asking(&[])).datagram).unwrap();
    assert_eq!(grant.services(), ["tcp/22-24", "udp/53"].map(parse));
}

#[test]
fn an_unauthenticated_sender_is_refused_before_decryption() {
    let world = world();
    assert_eq!(world.refusal(b"hello"), Refusal::WrongLength);
    assert_eq!(world.refusal(&[7; DATAGRAM_LENGTH]), Refusal::NotTagged);
    let mut altered = world.seal(&wish()).datagram;
    altered[600] ^= 1;
    assert_eq!(world.refusal(&altered), Refusal::NotVeiled);
    assert_eq!(world.pipeline.verifier.decrypted(), 0);
    // What the counter counts.
    assert!(world.handle(&world.seal(&wish()).datagram).is_ok());
    assert_eq!(world.pipeline.verifier.decrypted(), 1);
}

#[test]
fn a_timestamp_outside_the_window_is_refused_in_both_directions() {
    let world = world();
    let beyond = WINDOW + Duration::from_millis(1);
    let late = KnockRequest { stamp: NOW.before(beyond), ..wish() };
    let early = KnockRequest { stamp: NOW.after(beyond), ..wish() };
    assert_eq!(world.refusal_of(&late), Refusal::StampTooOld);
    assert_eq!(world.refusal_of(&early), Refusal::StampInFuture);
    let just = KnockRequest { stamp: NOW.after(WINDOW), ..wish() };
    assert!(world.handle(&world.seal(&just).datagram).is_ok());
}

#[test]
fn a_client_of_another_ca_is_refused() {
    let (world, other) = (world(), world());
    let mallory = other.client(&["tcp/22"]);
    let knock = seal(&mallory, &world.server, &wish()).unwrap();
    assert_eq!(world.refusal(&knock.datagram), Refusal::UnknownAuthority);
}

#[test]
fn a_new_crl_applies_from_the_next_knock() {
    let world = world();
    assert!(world.handle(&world.seal(&wish()).datagram).is_ok());
    let none = RevocationLists::new(Duration::from_secs(3600));
    world.pipeline.revocation.replace(Revocation::Lists(none.clone()));
    assert_eq!(world.refusal_of(&wish()), Refusal::RevocationUnknown);
    let list = revoking(&world.authority, world.pipeline.verifier.trust_store());
    world.pipeline.revocation.replace(Revocation::Lists(none.with(list)));
    assert_eq!(world.refusal_of(&wish()), Refusal::Revoked);
}

#[test]
fn a_knock_from_another_address_is_refused_and_stays_usable() {
    let world = world();
    let knock = world.seal(&wish());
    let elsewhere = Datagram::new("198.51.100.1:4000".parse().unwrap(), &knock.datagram);
    let refused = world.handle_from(elsewhere).unwrap_err();
    assert_eq!(refused.reason, Refusal::AddressMismatch);
    assert!(world.handle(&knock.datagram).is_ok());
    let unsigned = KnockRequest { address: ClaimedAddress::Source, ..wish() };
    assert_eq!(world.refusal_of(&unsigned), Refusal::AddressUnsigned);
}

#[test]
fn what_the_policy_refuses_is_refused_with_its_reason_and_used_up() {
    let world = world();
    for (wish, reason) in [
        (asking(&["tcp/22", "tcp/80"]), Refusal::ServiceNotAllowed),
        (asking(&["tcp/9000"]), Refusal::ServiceNotOffered),
        (KnockRequest { single_use: true, ..asking(&[]) }, Refusal::SingleUseUnfit),
    ] {
        let knock = world.seal(&wish);
        let refused = world.handle(&knock.datagram).unwrap_err();
        assert_eq!(refused.reason, reason);
        // The audit log names who wanted what.
        let told = refused.wish.unwrap();
        assert_eq!((told.id, told.subject.name.as_str()), (knock.id, "alice"));
        assert_eq!(told.services, wish.services);
        assert_eq!(world.refusal(&knock.datagram), Refusal::Repeated);
    }
    let refusal = |allowed: &[&str]| {
        let knock = seal(&world.client(allowed), &world.server, &asking(&[])).unwrap();
        world.refusal(&knock.datagram)
    };
    assert_eq!(refusal(&[]), Refusal::NothingAllowed);
    assert_eq!(refusal(&["tcp/9000"]), Refusal::ServiceNotOffered);
    assert_eq!(refusal(&["tcp/100-164"]), Refusal::TooManyPorts);
}

/// Remembers ids, but finds no repetition before the decryption: as between two racing threads.
struct Racing(Memory);

impl ReplayStore for Racing {
    fn has_admitted(&self, _: &Encapsulation) -> bool {
        false
    }

    fn record(&self, trace: &ReplayEntry, now: Timestamp) -> Recorded {
        self.0.record(trace, now)
    }
}

#[test]
fn a_racing_duplicate_is_refused_by_its_knock_id() {
    let world = world_with(Racing(Memory::new(WINDOW, 1000)));
    let knock = world.seal(&wish());
    assert!(world.handle(&knock.datagram).is_ok());
    let refused = world.handle(&knock.datagram).unwrap_err();
    assert_eq!(refused.reason, Refusal::Replayed);
    assert_eq!(refused.wish.unwrap().id, knock.id);
}

#[test]
fn a_full_replay_memory_admits_no_knock() {
    let world = world_with(Memory::new(WINDOW, 1));
    assert!(world.handle(&world.seal(&wish()).datagram).is_ok());
    assert_eq!(world.refusal_of(&wish()), Refusal::ReplayMemoryFull);
}

/// As a journal on a full disk.
struct Unwritable;

impl ReplayStore for Unwritable {
    fn has_admitted(&self, _: &Encapsulation) -> bool {
        false
    }

    fn record(&self, _: &ReplayEntry, _: Timestamp) -> Recorded {
        Recorded::WriteFailed
    }
}

#[test]
fn a_knock_that_cannot_be_recorded_is_not_granted() {
    let world = world_with(Unwritable);
    assert_eq!(world.refusal_of(&wish()), Refusal::ReplayJournalFailed);
}

#[test]
fn a_recorded_knock_is_refused_after_a_crash_and_a_lost_journal() {
    let dir = tempfile::tempdir().unwrap();
    let boot: BootId = "00000000-0000-0000-0000-000000000001".parse().unwrap();
    let open = |now| Journal::open(dir.path(), &boot, now, WINDOW, 1000).unwrap().0;
    // The first start, two windows ago, refused one window and is over it.
    let world = world_with(open(NOW.before(2 * WINDOW)));
    let knock = world.seal(&wish());
    assert!(world.handle(&knock.datagram).is_ok());

    let world = world.restarted(|| open(NOW));
    assert_eq!(world.refusal(&knock.datagram), Refusal::Repeated);
    assert!(world.handle(&world.seal(&wish()).datagram).is_ok());

    let world = world.restarted(|| {
        for journal in ["journal.0", "journal.1"] {
            std::fs::remove_file(dir.path().join(journal)).unwrap();
        }
        open(NOW)
    });
    assert_eq!(world.refusal(&knock.datagram), Refusal::BeforeMemory);
}
