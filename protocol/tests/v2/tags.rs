//! Tags: which knocks reach the veil. The tags come from `wire`, which computes them from the specification.

use core::time::Duration;
use std::collections::HashSet;

use sknock_protocol::v2::{KnockRequest, seal, seal_low};
use sknock_protocol::{KnockRules, Refusal, Timestamp, Verifier};

use crate::house::{House, NOW, RULES, wish};
use crate::wire;

/// The reason for the refusal of a knock with this timestamp and index, received now; `None` if it is granted.
fn refusal(house: &House, stamp: Timestamp, index: u16) -> Option<Refusal> {
    let request = KnockRequest { stamp, ..wish() };
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &request).unwrap();
    let frame = wire::uncover(&house.server, &sealed.datagram);
    let tag = wire::tag(&house.server, stamp, index);
    house.judge(&wire::cover_with(&house.server, tag, &frame)).err()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_clock_that_is_wrong_by_less_than_an_hour_is_named_if_the_tag_is_low() {
    let house = House::new();
    for index in [0, 63] {
        assert_eq!(refusal(&house, NOW, index), None);
        for off in [8, 64, 600, 3600] {
            let [early, late] = [NOW.before(seconds(off)), NOW.after(seconds(off))];
            assert_eq!(refusal(&house, early, index), Some(Refusal::StampTooOld), "{off}");
            assert_eq!(refusal(&house, late, index), Some(Refusal::StampInFuture), "{off}");
        }
        for off in [3600 + 64, 10_000_000] {
            let [early, late] = [NOW.before(seconds(off)), NOW.after(seconds(off))];
            assert_eq!(refusal(&house, early, index), Some(Refusal::NotTagged), "{off}");
            assert_eq!(refusal(&house, late, index), Some(Refusal::NotTagged), "{off}");
        }
    }
    for index in [64, 4095] {
        assert_eq!(refusal(&house, NOW, index), None);
        for stamp in [NOW.before(seconds(100)), NOW.after(seconds(100))] {
            assert_eq!(refusal(&house, stamp, index), Some(Refusal::NotTagged), "{stamp}");
        }
    }
    assert_eq!(refusal(&house, NOW, 4096), Some(Refusal::NotTagged), "there is no such tag");
}

#[test]
fn a_long_window_needs_a_low_tag_beyond_128_seconds() {
    let house = House::new();
    let rules = KnockRules { window: seconds(3600), ..RULES };
    let verifier = Verifier::new(house.server.server_key(), house.authority.anchors(), rules);
    let house = House { verifier, ..house };
    for (off, index, expected) in [
        (128, 4095, None),
        (128 + 64, 64, Some(Refusal::NotTagged)),
        (128 + 64, 63, None),
        (3600, 64, Some(Refusal::NotTagged)),
        (3600, 63, None),
    ] {
        for stamp in [NOW.before(seconds(off)), NOW.after(seconds(off))] {
            assert_eq!(refusal(&house, stamp, index), expected, "{off} s, index {index}");
        }
    }
}

/// The tag is not compared with the timestamp: every holder of the server's certificate may use any that is accepted.
#[test]
fn a_tag_of_another_accepted_epoch_changes_nothing() {
    let house = House::new();
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish()).unwrap();
    let frame = wire::uncover(&house.server, &sealed.datagram);
    for stamp in [NOW.before(seconds(3600)), NOW.before(seconds(7)), NOW.after(seconds(3600))] {
        let tag = wire::tag(&house.server, stamp, 63);
        assert!(house.judge(&wire::cover_with(&house.server, tag, &frame)).is_ok(), "{stamp}");
    }
}

#[test]
fn a_tag_of_another_server_is_refused() {
    let house = House::new();
    let other = House::new().server;
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish()).unwrap();
    let frame = wire::uncover(&house.server, &sealed.datagram);
    let datagram = wire::cover_with(&house.server, wire::tag(&other, NOW, 0), &frame);
    assert_eq!(house.judge(&datagram).unwrap_err(), Refusal::NotTagged);
}

/// A client's tags are those of its timestamp's epoch, chosen at random: all of them, or the low ones.
#[test]
fn a_knock_has_a_random_tag_of_its_timestamp() {
    let house = House::new();
    let (identity, server) = (house.client.identity(), house.server.as_server());
    let tags = |stamp, count: u16| -> HashSet<[u8; 4]> {
        (0..count).map(|index| wire::tag(&house.server, stamp, index)).collect()
    };
    for stamp in [NOW, NOW.before(Duration::from_millis(1)), NOW.after(seconds(100_000))] {
        let request = KnockRequest { stamp, ..wish() };
        let beginning = |datagram: [u8; 1200]| *datagram.first_chunk::<4>().unwrap();
        let (all, low) = (tags(stamp, 4096), tags(stamp, 64));
        let drawn: HashSet<_> = (0..100)
            .map(|_| beginning(seal(&identity, &server, &request).unwrap().datagram))
            .collect();
        assert!(drawn.is_subset(&all));
        assert!(drawn.len() > 80, "{} of 100 are different", drawn.len()); // expected: 98.8
        assert!(drawn.intersection(&low).count() < 20, "expected: 1.6 of 100");
        let drawn: HashSet<_> = (0..100)
            .map(|_| beginning(seal_low(&identity, &server, &request).unwrap().datagram))
            .collect();
        assert!(drawn.is_subset(&low));
        assert!(drawn.len() > 30, "{} of 64", drawn.len()); // expected: 50.7
    }
}
