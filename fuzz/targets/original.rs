//! Protocol v1, from a datagram to a grant. The first byte says whether the rest is a datagram, whole
//! blocks of plaintext, a message, or the signed part of one; the second, on what kind of server;
//! the third when.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sknock_fuzz::original::{AUTHORITY, KNOCK, Knock, SOURCE, padded, server_key};
use sknock_fuzz::through;
use sknock_protocol::service::all_covered;
use sknock_protocol::{
    Datagram, KnockId, KnockRules, Refusal, Revocation, Timestamp, TrustStore, Verifier, v1, v2,
};
use sknock_server::knock::in_force::InForce;
use sknock_server::knock::pipeline::Pipeline;
use sknock_server::knock::policy::Policy;
use sknock_server::knock::refused_knocks::RefusedKnocks;
use sknock_server::knock::replay::Memory;

const WINDOW: Duration = Duration::from_secs(7);

/// One for each rule about extended key usage.
static VERIFIERS: LazyLock<[Arc<Verifier>; 2]> = LazyLock::new(|| {
    [false, true].map(|any_usage| {
        let anchors = TrustStore::new(&[AUTHORITY.to_vec()], 4).expect("an authority");
        let rules = KnockRules { window: WINDOW, unsigned_address: true, second_address: true };
        let original = v1::V1Rules { shortest_frame: 0, any_usage };
        Arc::new(Verifier::new(server_key(), anchors, rules).with_v1(original))
    })
});

static GENUINE: LazyLock<KnockId> = LazyLock::new(|| {
    let datagram = Datagram::new(SOURCE.parse().expect("an address"), KNOCK.datagram);
    through(&pipeline(1), datagram, KNOCK.at).expect("the vector is granted").id()
});

fuzz_target!(|input: &[u8]| {
    let [genuine, scene, when, rest @ ..] = input else { return };
    let bytes = datagram(&KNOCK, genuine % 4, rest);
    let source = SOURCE.parse().expect("an address");
    let span = Duration::from_millis(u64::from(when & 127) * 125);
    let now: Timestamp = if *when < 128 { KNOCK.at.after(span) } else { KNOCK.at.before(span) };
    let pipeline = pipeline(*scene);

    let datagram = Datagram::new(source, &bytes);
    let Ok(grant) = through(&pipeline, datagram, now) else { return };
    assert_ne!(bytes.len(), v2::DATAGRAM_LENGTH, "a v2 knock, sealed by nobody");
    assert_eq!(grant.services().len(), 1);
    assert!(all_covered(&grant.services()[0], &grant.subject().allowed));
    assert!(grant.claim().all().eq([source.ip()]), "let in from where it did not come from");
    if genuine % 4 < 3 {
        assert_eq!(grant.id(), *GENUINE, "somebody without the client's key was let in");
    }
    let again = through(&pipeline, datagram, now).map(|_| ()).map_err(|refused| refused.reason);
    assert_eq!(again, Err(Refusal::Repeated), "a knock was granted twice");
});

fn datagram(knock: &Knock, genuine: u8, rest: &[u8]) -> Vec<u8> {
    match genuine {
        0 => rest.to_vec(),
        1 => knock.encrypt(rest),
        2 => knock.encrypt(&padded(rest)),
        _ => knock.encrypt(&knock.sign(rest)),
    }
}

fn pipeline(scene: u8) -> Pipeline<Memory> {
    let seconds = Duration::from_secs;
    Pipeline {
        verifier: Arc::clone(&VERIFIERS[usize::from(scene & 1)]),
        revocation: Arc::new(InForce::new(Revocation::NotConfigured)),
        replay: Memory::new(WINDOW, 8),
        policy: Policy::new(None, seconds(15), seconds(600)),
        refused_knocks: RefusedKnocks::default(),
    }
}
