//! A datagram that was refused costs no decryption when it comes again, whoever sends it from wherever; and
//! nobody can have an honest knock refused by sending a copy of it first.

mod scene;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sknock_protocol::v2::{ClaimedAddress, DATAGRAM_LENGTH, KnockRequest};
use sknock_protocol::{Datagram, Refusal, Timestamp};
use sknock_server::knock::pipeline::Refused;
use sknock_server::knock::refused_knocks::Before;
use sknock_tests::Chance;

use scene::{HOME, Scene, WINDOW, noon, wish};

type Packet = [u8; DATAGRAM_LENGTH];

fn elsewhere(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::new(IpAddr::from([198, 51, high, low]), 4000)
}

fn refused(scene: &Scene, packet: &Packet, source: SocketAddr, now: Timestamp) -> Refused {
    scene.handle(Datagram::new(source, packet), now).unwrap_err()
}

/// Sends it often, from everywhere, in this and later seconds; how many decryptions that was.
fn sent_often(scene: &Scene, packet: &Packet, reason: Refusal, from: Timestamp) -> u64 {
    let before = scene.pipeline.verifier.decrypted();
    for number in 0..500_u16 {
        let refusal = refused(scene, packet, elsewhere(number), from.after(millis(number)));
        assert_eq!(refusal.reason, reason, "{number}");
    }
    scene.pipeline.verifier.decrypted() - before
}

fn millis(number: u16) -> Duration {
    Duration::from_millis(number.into())
}

#[test]
fn a_knock_refused_for_its_content_is_decrypted_once() {
    let scene = Scene::new();
    let good = scene.seal(&wish());
    for (packet, reason) in [
        (scene.with_other_ciphertext(&good), Refusal::NotForThisServer),
        (
            scene.seal(&KnockRequest { address: ClaimedAddress::Source, ..wish() }),
            Refusal::AddressUnsigned,
        ),
        (
            scene.seal(&KnockRequest { stamp: noon().before(2 * WINDOW), ..wish() }),
            Refusal::StampTooOld,
        ),
        (
            scene.seal(&KnockRequest { stamp: noon().after(2 * WINDOW), ..wish() }),
            Refusal::StampInFuture,
        ),
        (scene.seal(&wish()), Refusal::AddressMismatch),
    ] {
        assert_eq!(sent_often(&scene, &packet, reason, noon()), 1, "{reason}");
    }
}

#[test]
fn a_refusal_by_crl_or_date_is_evaluated_again_once_a_second() {
    let scene = Scene::new();
    scene.list(true);
    let packet = scene.seal(&wish());
    let reason = Refusal::RevocationUnknown;
    assert_eq!(sent_often(&scene, &packet, reason, noon()), 1);
    assert_eq!(sent_often(&scene, &packet, reason, noon().after(Duration::from_secs(1))), 1);
    let later = noon().after(WINDOW + Duration::from_secs(1));
    assert_eq!(sent_often(&scene, &packet, Refusal::StampTooOld, later), 0);
    assert_eq!(
        refused(&scene, &packet, HOME, noon().after(2 * WINDOW)).reason,
        Refusal::StampTooOld
    );
}

#[test]
fn a_knock_that_was_forgotten_is_decrypted_once_more_and_no_more() {
    let scene = Scene::new();
    let packet = scene.seal(&wish());
    assert!(scene.handle(Datagram::new(HOME, &packet), noon()).is_ok());
    let scene = scene.with_an_empty_memory();
    let later = noon().after(2 * WINDOW);
    assert_eq!(sent_often(&scene, &packet, Refusal::StampTooOld, later), 1);
}

/// Under another nonce the same knock is another datagram; whoever has the server's certificate can make it.
#[test]
fn the_same_knock_under_another_veil_is_recognised() {
    let scene = Scene::new();
    let packet = scene.seal(&KnockRequest { stamp: noon().before(2 * WINDOW), ..wish() });
    let _ = refused(&scene, &packet, HOME, noon());
    let (other, before) = (scene.under_another_nonce(&packet), scene.pipeline.verifier.decrypted());
    assert_ne!(other, packet);
    assert_eq!(refused(&scene, &other, HOME, noon()).before, Before::Once);
    assert_eq!(scene.pipeline.verifier.decrypted(), before);
}

#[test]
fn repetitions_of_a_knock_are_distinguished_from_the_first() {
    let scene = Scene::new();
    let packet = scene.seal(&KnockRequest { stamp: noon().before(2 * WINDOW), ..wish() });
    let mut said = [Before::Never; 4];
    said.fill_with(|| refused(&scene, &packet, HOME, noon()).before);
    assert_eq!(said, [Before::Never, Before::Once, Before::Often, Before::Often]);
}

#[test]
fn a_copy_from_elsewhere_does_not_spoil_the_original() {
    let scene = Scene::new();
    let packet = scene.seal(&wish());
    for number in 0..50 {
        let refusal = refused(&scene, &packet, elsewhere(number), noon());
        assert_eq!(refusal.reason, Refusal::AddressMismatch);
    }
    assert!(scene.handle(Datagram::new(HOME, &packet), noon()).is_ok());
}

#[test]
fn the_same_one_time_key_with_other_content_does_not_spoil_the_original() {
    let scene = Scene::new();
    let packet = scene.seal(&wish());
    let forged = scene.with_other_ciphertext(&packet);
    assert_eq!(refused(&scene, &forged, HOME, noon()).reason, Refusal::NotForThisServer);
    assert_eq!(refused(&scene, &forged, HOME, noon()).before, Before::Once);
    assert!(scene.handle(Datagram::new(HOME, &packet), noon()).is_ok());
}

#[test]
fn a_copy_while_the_clock_was_wrong_does_not_spoil_the_original() {
    let scene = Scene::new();
    let packet = scene.seal(&wish());
    for wrong in [noon().after(2 * WINDOW), noon().before(2 * WINDOW)] {
        let _ = refused(&scene, &packet, HOME, wrong);
    }
    assert!(scene.handle(Datagram::new(HOME, &packet), noon()).is_ok());
}

#[test]
fn a_copy_under_older_crls_does_not_spoil_the_original() {
    let scene = Scene::new();
    let packet = scene.seal(&wish());
    scene.list(true);
    assert_eq!(refused(&scene, &packet, HOME, noon()).reason, Refusal::RevocationUnknown);
    scene.list(false);
    assert!(scene.handle(Datagram::new(HOME, &packet), noon()).is_ok());
}

#[test]
fn a_knock_refused_by_a_full_replay_memory_is_accepted_later() {
    let scene = Scene::with_capacity(1);
    let (first, second) = (scene.seal(&wish()), scene.seal(&wish()));
    assert!(scene.handle(Datagram::new(HOME, &first), noon().before(WINDOW / 2)).is_ok());
    let before = scene.pipeline.verifier.decrypted();
    for _ in 0..100 {
        assert_eq!(refused(&scene, &second, HOME, noon()).reason, Refusal::ReplayMemoryFull);
    }
    assert_eq!(scene.pipeline.verifier.decrypted(), before + 1);
    let scene = scene.with_an_empty_memory();
    let later = noon().after(Duration::from_secs(1));
    assert!(scene.handle(Datagram::new(HOME, &second), later).is_ok());
}

/// Whatever copies of it come before, from wherever and under whatever clock and lists: the original counts,
/// as it would have without them; and never twice. 200 courses by chance.
#[test]
fn no_copy_that_is_refused_keeps_the_original_out() {
    let mut chance = Chance::new("copies");
    let mut scene = Scene::new();
    for _ in 0..200 {
        let packet = scene.seal(&wish());
        let forged = scene.with_other_ciphertext(&packet);
        for _ in 0..chance.below(12) {
            let listed = chance.once_in(2);
            scene.list(listed);
            let now = noon().before(2 * WINDOW).after(Duration::from_millis(chance.below(28_000)));
            let (source, bytes) = match chance.below(3) {
                0 => (elsewhere(1), &packet),
                1 => (HOME, &forged),
                // From home it would be the original itself, if it is in time and no list is missing.
                _ if listed || now.distance(noon()) > WINDOW => (HOME, &packet),
                _ => (elsewhere(2), &packet),
            };
            assert!(scene.handle(Datagram::new(source, bytes), now).is_err());
        }
        scene.list(false);
        assert!(scene.handle(Datagram::new(HOME, &packet), noon()).is_ok());
        assert!(scene.handle(Datagram::new(HOME, &packet), noon()).is_err());
        if chance.once_in(20) {
            scene = scene.with_an_empty_memory();
        }
    }
}
