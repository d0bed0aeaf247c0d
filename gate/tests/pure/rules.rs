//! The table's description.

use std::time::Duration;

use sknock_gate::{Contradiction, Hearing, Match, Meter, Policy, Rules, Verdict};

use crate::{tcp, udp};

const LOG: Hearing = Hearing::Log { group: 7 };

fn rules(policy: Policy) -> Rules {
    Rules {
        policy,
        protected: vec![],
        always_open: vec![],
        knock_ports: vec![udp(5000, 5000)],
        knock_lengths: (1208, 1208),
        hearing: LOG,
        meter: None,
        capacity: 512,
        gc_interval: Duration::from_secs(2),
    }
}

/// Nobody is cut off from what is running, and no grant can be hidden behind the verdict.
#[test]
fn established_comes_first_and_the_verdict_last() {
    for policy in [Policy::None, Policy::Reject, Policy::Drop] {
        let protecting = Rules { protected: vec![tcp(22, 22)], ..rules(policy) };
        for rules in [rules(policy), protecting] {
            let chain = rules.deny();
            let first_refusal = chain.iter().position(|line| line.verdict != Verdict::Accept);
            let last_accept = chain.iter().rposition(|line| line.verdict == Verdict::Accept);
            assert!(first_refusal.is_none_or(|first| last_accept < Some(first)));
            assert_eq!(first_refusal.is_none(), policy == Policy::None);
            assert_eq!(chain[0].matches, [Match::FromLoopback]);
            assert_eq!(chain[1].matches, [Match::Established]);
        }
    }
}

/// In prerouting the kernel works off the lower number first. What `deny` denies would not be heard.
#[test]
fn what_is_denied_is_heard_first() {
    const { assert!(Rules::HEAR_PRIORITY < Rules::PRIORITY) };
    for policy in [Policy::None, Policy::Reject, Policy::Drop] {
        let rules = rules(policy);
        let opened = |line: &sknock_gate::Line| matches!(line.verdict, Verdict::Knock);
        assert!(rules.hear().iter().all(opened) && !rules.hear().is_empty());
        assert!(!rules.deny().iter().any(opened), "a knock meets the same lines as anything else");
        let socket = Rules { hearing: Hearing::Socket, ..rules };
        assert!(socket.hear().is_empty() && socket.deny().iter().any(opened));
    }
}

/// Whoever is forgotten begins anew with a full meter: that must not come too early.
#[test]
fn a_source_is_remembered_until_its_meter_is_full_again() {
    for (per_second, burst, seconds) in [(1000, 5000, 6), (20, 101, 7), (1, 5, 6), (5, 1, 2)] {
        let meter = Meter { per_second, burst, sources: 8 };
        assert_eq!(meter.memory(), Duration::from_secs(seconds));
    }
}

/// A reset answers TCP only; the kernel refuses it for anything else.
#[test]
fn a_reset_is_for_tcp() {
    let rules = Rules { protected: vec![tcp(22, 22), udp(53, 53)], ..rules(Policy::Reject) };
    let last: Vec<String> = rules.deny().iter().rev().take(2).map(ToString::to_string).collect();
    assert_eq!(last, ["udp dport 53 reject", "tcp dport 22 reject with tcp reset"]);
}

#[test]
fn rules_that_cannot_mean_what_they_say_are_named() {
    let check = |rules: Rules| rules.check();
    assert_eq!(check(rules(Policy::None)), Ok(()));
    assert_eq!(
        check(Rules { knock_ports: vec![tcp(5000, 5000)], ..rules(Policy::Drop) }),
        Err(Contradiction::KnockPortNotUdp(tcp(5000, 5000)))
    );
    assert_eq!(
        check(Rules { protected: vec![tcp(22, 22)], ..rules(Policy::None) }),
        Err(Contradiction::ProtectedByNothing)
    );
    let both = Rules {
        protected: vec![tcp(1, 21), tcp(20, 30)],
        always_open: vec![udp(20, 30), tcp(22, 22)],
        ..rules(Policy::Drop)
    };
    assert_eq!(check(both), Err(Contradiction::ProtectedAndOpen(tcp(20, 30))));
}
