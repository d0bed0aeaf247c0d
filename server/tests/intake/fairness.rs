//! Who waits for whom.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use sknock_server::knock::intake::fair::{BUCKETS, FairQueue, network};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An address in the network with this number.
fn of(network: u32, host: u8) -> IpAddr {
    IpAddr::V4((network << 8 | u32::from(host)).into())
}

#[test]
fn one_network_is_served_in_the_order_of_arrival() {
    let mut queue = FairQueue::new(100);
    for number in 0..50_u8 {
        assert_eq!(queue.push(of(7, number), number), None);
    }
    assert_eq!(queue.len(), 50);
    let served: Vec<u8> = std::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(served, (0..50).collect::<Vec<_>>());
    assert!(queue.is_empty());
    assert_eq!(queue.pop(), None);
}

#[test]
fn a_flood_delays_no_other_network_and_drops_only_its_own_datagrams() {
    let mut met = 0;
    for attempt in 0..100_u32 {
        let mut queue = FairQueue::new(64);
        for number in 0..1000 {
            if let Some(gone) = queue.push(of(1, 1), ("junk", number)) {
                assert_eq!(gone, ("junk", number - 64), "the one that waited longest");
            }
        }
        let gone = queue.push(of(1000 + attempt, 9), ("knock", 0));
        assert_eq!(gone, Some(("junk", 1000 - 64)));
        let turn = std::iter::from_fn(|| queue.pop()).position(|(what, _)| what == "knock");
        let turn = turn.expect("it is not lost");
        // At worst both are in one bucket; at best it is the second.
        met += usize::from(turn > 1);
    }
    // Expected: 100 in 1024. More than five would come once in 10^8 runs.
    assert!(met <= 5, "{met}");
}

#[test]
fn every_network_has_its_turn() {
    let mut queue = FairQueue::new(BUCKETS * 8);
    for number in 0..4 {
        for network in 0..100 {
            queue.push(of(network, 1), (network, number));
        }
    }
    let first: Vec<(u32, u32)> = std::iter::from_fn(|| queue.pop()).take(90).collect();
    let distinct: std::collections::BTreeSet<u32> = first.iter().map(|(net, _)| *net).collect();
    // Those in one bucket share a turn: of 100 networks some five meet another.
    assert!(distinct.len() > 75, "{}", distinct.len());
}

#[test]
fn a_network_is_what_one_attacker_may_own() {
    for (one, other) in [
        ("192.0.2.1", "192.0.2.254"),
        ("2001:db8:7::1", "2001:db8:7:ffff:ffff:ffff:ffff:ffff"),
        ("192.0.2.1", "::ffff:192.0.2.77"),
    ] {
        assert_eq!(network(ip(one)), network(ip(other)));
    }
    for (one, other) in
        [("192.0.2.1", "192.0.3.1"), ("2001:db8:7::1", "2001:db8:8::1"), ("0.0.0.0", "::")]
    {
        assert_ne!(network(ip(one)), network(ip(other)));
    }
}

#[test]
fn a_queue_for_one_still_serves() {
    let mut queue = FairQueue::new(0);
    assert_eq!(queue.push(of(1, 1), 1), None);
    assert_eq!(queue.push(of(2, 1), 2), Some(1));
    assert_eq!((queue.pop(), queue.pop()), (Some(2), None));
}

proptest! {
    /// Nothing is lost but what is returned, nothing comes twice, and never are there too many.
    #[test]
    fn all_that_goes_in_comes_out_once(
        capacity in 1..20_usize,
        steps in proptest::collection::vec(proptest::option::of((0..6_u32, any::<u8>())), 0..200),
    ) {
        let mut queue = FairQueue::new(capacity);
        let mut waiting: BTreeMap<usize, u32> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            if let Some((network, host)) = step {
                let was_full = queue.len() == capacity;
                waiting.insert(number, network);
                let gone = queue.push(of(network, host), number);
                prop_assert_eq!(gone.is_some(), was_full);
                if let Some(gone) = gone {
                    prop_assert!(waiting.remove(&gone).is_some());
                }
            } else {
                let next = queue.pop();
                prop_assert_eq!(next.is_none(), waiting.is_empty());
                if let Some(next) = next {
                    // Of its network it is the oldest.
                    let network = waiting.remove(&next);
                    prop_assert!(network.is_some());
                    prop_assert!(!waiting.iter().any(|(n, of)| *n < next && Some(*of) == network));
                }
            }
            prop_assert_eq!(queue.len(), waiting.len());
            prop_assert!(queue.len() <= capacity);
        }
    }
}
