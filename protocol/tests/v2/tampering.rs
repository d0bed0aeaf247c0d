//! Any altered byte is refused, at every layer and by whoever can reach it.

use proptest::prelude::*;
use sknock_protocol::Refusal;
use sknock_protocol::v2::seal;

use crate::house::{House, wish};
use crate::wire::{self, Envelope, FROM_SOURCE};

/// Somebody on the path alters the datagram.
#[test]
fn every_single_altered_byte_on_the_wire_is_refused() {
    let house = House::new();
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish()).unwrap();
    for at in 0..sealed.datagram.len() {
        let mut altered = sealed.datagram;
        altered[at] ^= 1;
        let reason = if at < 4 { Refusal::NotTagged } else { Refusal::NotVeiled };
        assert_eq!(house.judge(&altered).unwrap_err(), reason, "byte {at}");
    }
    assert!(house.judge(&sealed.datagram).is_ok());
}

/// Another client, who can lift the veil, alters what is under it.
#[test]
fn every_single_altered_byte_under_the_veil_is_refused() {
    let house = House::new();
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish()).unwrap();
    let frame = wire::uncover(&house.server, &sealed.datagram);
    for at in 0..frame.len() {
        let mut altered = frame.clone();
        altered[at] ^= 1;
        let datagram = wire::cover(&house.server, &altered);
        assert_eq!(house.judge(&datagram).unwrap_err(), Refusal::NotForThisServer, "byte {at}");
    }
    assert!(house.judge(&wire::cover(&house.server, &frame)).is_ok());
}

/// The message itself is altered after it was signed.
#[test]
fn every_single_altered_byte_of_a_message_is_refused() {
    let house = House::new();
    let unsigned = wire::unsigned(&FROM_SOURCE, &house.client.certificate);
    for at in 0..1091 {
        let envelope = Envelope::new(&house.server);
        let mut message = envelope.message(&unsigned, &house.client.key);
        message[at] ^= 1;
        assert!(house.judge(&envelope.close(&message)).is_err(), "byte {at}");
    }
    let envelope = Envelope::new(&house.server);
    let message = envelope.message(&unsigned, &house.client.key);
    assert!(house.judge(&envelope.close(&message)).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Several bytes at once, and any of their values.
    #[test]
    fn no_altered_datagram_is_accepted(
        changes in proptest::collection::vec((0..1200_usize, 1..=255_u8), 1..20),
    ) {
        let house = House::new();
        let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish()).unwrap();
        let mut altered = sealed.datagram;
        for (at, change) in changes {
            altered[at] ^= change;
        }
        prop_assume!(altered != sealed.datagram);
        let intact = altered[..4] == sealed.datagram[..4];
        let reason = if intact { Refusal::NotVeiled } else { Refusal::NotTagged };
        prop_assert_eq!(house.judge(&altered).unwrap_err(), reason);
    }
}
