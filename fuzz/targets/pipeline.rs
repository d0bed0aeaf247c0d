//! From a datagram to a grant. The first byte says how much of the knock is genuine, the second who
//! knocks and on what kind of server, the third when.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sknock_fuzz::genuine::{AUTHORITY, FRAME, KNOCKS, Knock, MESSAGE, server_key};
use sknock_fuzz::through;
use sknock_protocol::service::all_covered;
use sknock_protocol::{
    Datagram, KnockRules, Refusal, Revocation, RevocationList, RevocationLists, Timestamp,
    TrustStore, Verifier,
};
use sknock_server::knock::in_force::InForce;
use sknock_server::knock::pipeline::Pipeline;
use sknock_server::knock::policy::{Grant, MAX_PORTS, Policy};
use sknock_server::knock::refused_knocks::RefusedKnocks;
use sknock_server::knock::replay::Memory;

const WINDOW: Duration = Duration::from_secs(7);
const LONGEST: Duration = Duration::from_secs(600);
const CRL: &[u8] = include_bytes!("../../tests/vectors/v2/pki/ca-others.crl");
const V4: &str = "203.0.113.7:40000";
const V6: &str = "[2001:db8::7]:40000";

/// One for each pair of rules about addresses.
static VERIFIERS: LazyLock<[Arc<Verifier>; 4]> = LazyLock::new(|| {
    [(false, false), (false, true), (true, false), (true, true)].map(|(unsigned, second)| {
        let anchors = TrustStore::new(&[AUTHORITY.to_vec()], 4).expect("an authority");
        let rules =
            KnockRules { window: WINDOW, unsigned_address: unsigned, second_address: second };
        Arc::new(Verifier::new(server_key(), anchors, rules))
    })
});

static LISTS: LazyLock<Revocation> = LazyLock::new(|| {
    let list = RevocationList::verify(CRL, VERIFIERS[0].trust_store()).expect("a list");
    Revocation::Lists(RevocationLists::new(Duration::ZERO).with(list))
});

fuzz_target!(|input: &[u8]| {
    let [genuine, scene, when, rest @ ..] = input else { return };
    let knock = &KNOCKS[usize::from(*scene & 3) % 3];
    let Some(datagram) = datagram(knock, genuine % 5, rest) else { return };
    let source = if scene & 4 == 0 { V4 } else { V6 }.parse().expect("an address");
    let now = moment(knock.at, *when);
    let pipeline = pipeline(*scene);

    let datagram = Datagram::new(source, &datagram);
    let Ok(grant) = through(&pipeline, datagram, now) else { return };
    check(&grant, *scene);
    if genuine % 5 < 3 {
        assert_eq!(grant.id().0, knock.id, "somebody without a client's key was let in");
    }
    let again = through(&pipeline, datagram, now).map(|_| ()).map_err(|refused| refused.reason);
    assert_eq!(again, Err(Refusal::Repeated), "a knock was granted twice");
});

/// The input as a datagram, a frame, a message, the signed part of one, or that up to the
/// certificate.
fn datagram(knock: &Knock, genuine: u8, rest: &[u8]) -> Option<Vec<u8>> {
    let sized = |length| {
        let mut bytes = rest.to_vec();
        bytes.resize(length, 0);
        bytes
    };
    let message = match genuine {
        0 => return Some(rest.to_vec()),
        1 => return Some(knock.cover(&sized(FRAME))),
        2 => sized(MESSAGE),
        3 => knock.sign(rest)?,
        _ => {
            let length = u16::try_from(knock.certificate.len()).expect("it fits");
            knock.sign(&[rest, &length.to_be_bytes(), knock.certificate].concat())?
        }
    };
    Some(knock.cover(&knock.enclose(&message)))
}

fn pipeline(scene: u8) -> Pipeline<Memory> {
    let offered = ["tcp/1-1024", "udp/1-65535"].map(|service| service.parse().expect("a service"));
    let offered = (scene & 32 != 0).then(|| offered.to_vec());
    let revocation = if scene & 64 == 0 { Revocation::NotConfigured } else { LISTS.clone() };
    Pipeline {
        verifier: Arc::clone(&VERIFIERS[usize::from(scene >> 3 & 3)]),
        revocation: Arc::new(InForce::new(revocation)),
        replay: Memory::new(WINDOW, 8),
        policy: Policy::new(offered, Duration::from_secs(15), LONGEST),
        refused_knocks: RefusedKnocks::default(),
    }
}

/// Up to 16 s before or after the right time.
fn moment(right: Timestamp, when: u8) -> Timestamp {
    let span = Duration::from_millis(u64::from(when & 127) * 125);
    if when < 128 { right.after(span) } else { right.before(span) }
}

/// What holds for every grant.
fn check(grant: &Grant, scene: u8) {
    let width: u32 = grant.services().iter().map(|service| u32::from(service.width())).sum();
    assert!((1..=MAX_PORTS).contains(&width));
    let allowed = &grant.subject().allowed;
    assert!(grant.services().iter().all(|service| all_covered(service, allowed)));
    assert!((Duration::from_secs(1)..=LONGEST).contains(&grant.lifetime()));

    let addresses: Vec<_> = grant.claim().all().collect();
    assert_eq!(addresses[0], grant.source().ip(), "let in from where it did not come from");
    match addresses[1..] {
        [] => {}
        [second] => {
            assert_ne!(second.is_ipv4(), addresses[0].is_ipv4());
            assert!(scene & 8 != 0, "a second address, though none is allowed");
        }
        _ => panic!("three addresses"),
    }
}
