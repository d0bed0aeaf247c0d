//! The table's description.

use std::time::Duration;

use sknock_gate::{
    Contradiction, Ending, Hearing, Match, Meter, Policy, PortRange, Rules, Transport, Verdict,
};

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
        ending: Ending::Cut,
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
            let mut chain = rules.deny();
            let at_knock_port = [Match::Ports(udp(5000, 5000))];
            chain.retain(|line| line.matches != at_knock_port);
            assert_eq!(chain[0].matches, [Match::FromLoopback]);
            let (cut, others): (Vec<_>, Vec<_>) =
                chain.iter().skip(1).partition(|line| line.verdict == Verdict::Cut);
            // Nobody but who was cut off, which comes even before.
            assert!(cut.iter().all(|line| matches!(line.matches[0], Match::CutOff { .. })));
            assert_eq!(cut.len(), if policy == Policy::None { 0 } else { 2 });
            assert_eq!(others[0].matches, [Match::Established]);
            assert_eq!(chain.iter().position(|line| line == others[0]), Some(1 + cut.len()));
            let first_refusal = others.iter().position(|line| line.verdict != Verdict::Accept);
            let last_accept = others.iter().rposition(|line| line.verdict == Verdict::Accept);
            assert!(first_refusal.is_none_or(|first| last_accept < Some(first)));
            assert_eq!(first_refusal.is_none(), policy == Policy::None);
        }
    }
}

/// What a packet for `port` meets in the end, if it is new, from somebody without a grant, and no knock.
fn fate(rules: &Rules, ports: PortRange) -> Verdict {
    let (transport, port) = (ports.transport(), ports.first());
    let meets = |item: &Match| match *item {
        Match::Protocol(number) => number == transport.number(),
        Match::Ports(ports) => ports.contains(transport, port),
        Match::Below(of, bound) => of == transport && port < bound,
        Match::Above(of, bound) => of == transport && port > bound,
        _ => false,
    };
    let chain = rules.deny();
    let line = chain.iter().find(|line| line.matches.iter().all(meets));
    line.map_or(Verdict::Accept, |line| line.verdict)
}

/// The short ways through the chain must not be short cuts around the policy.
#[test]
fn every_port_meets_what_the_policy_says_of_it() {
    let protected = vec![tcp(22, 22), tcp(8000, 8010), udp(53, 53)];
    for hearing in [LOG, Hearing::Socket] {
        for policy in [Policy::None, Policy::Reject, Policy::Drop] {
            for protected in [vec![], protected.clone()] {
                let closed = |one: &PortRange| {
                    policy != Policy::None
                        && (protected.is_empty() || protected.iter().any(|of| of.overlaps(one)))
                };
                let rules = Rules { hearing, protected: protected.clone(), ..rules(policy) };
                let tcp =
                    [1, 21, 22, 23, 7999, 8000, 8010, 8011, 65535].map(|port| tcp(port, port));
                let udp = [1, 52, 53, 54, 4999, 5000, 5001, 65535].map(|port| udp(port, port));
                for one in tcp.into_iter().chain(udp) {
                    let expected = match (policy, one.transport()) {
                        _ if !closed(&one) && one.first() == 5000 && hearing != LOG => {
                            Verdict::Unreachable
                        }
                        _ if !closed(&one) => Verdict::Accept,
                        (Policy::Drop, _) => Verdict::Drop,
                        (_, Transport::Tcp) => Verdict::Reset,
                        (_, Transport::Udp) => Verdict::Unreachable,
                    };
                    assert_eq!(fate(&rules, one), expected, "{one} {policy:?} {hearing:?}");
                }
            }
        }
    }
}

#[test]
fn a_knock_port_by_itself_is_for_knocks_only() {
    let only = |rules: &Rules| rules.for_knocks_only().copied().collect::<Vec<_>>();
    let several = Rules {
        knock_ports: vec![udp(5000, 5000), udp(6000, 6010), udp(7000, 7000)],
        always_open: vec![udp(6990, 7010)],
        ..rules(Policy::Drop)
    };
    assert_eq!(only(&several), [udp(5000, 5000)]);
    let bound = Rules { hearing: Hearing::Socket, ..several };
    assert_eq!(only(&bound), [udp(5000, 5000), udp(6000, 6010)]);
}

#[test]
fn a_range_without_another_is_what_is_left() {
    let left = |range: PortRange, hole| range.without(&hole).collect::<Vec<_>>();
    assert_eq!(left(tcp(1, 65535), tcp(22, 22)), [tcp(1, 21), tcp(23, 65535)]);
    assert_eq!(left(tcp(1, 65535), udp(22, 22)), [tcp(1, 65535)]);
    assert_eq!(left(tcp(10, 20), tcp(21, 30)), [tcp(10, 20)]);
    assert_eq!(left(tcp(10, 20), tcp(1, 9)), [tcp(10, 20)]);
    assert_eq!(left(tcp(10, 20), tcp(1, 12)), [tcp(13, 20)]);
    assert_eq!(left(tcp(10, 20), tcp(20, 65535)), [tcp(10, 19)]);
    assert_eq!(left(tcp(10, 20), tcp(1, 65535)), []);
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

/// A cut is for who needs a grant. Anything else would be a lock-out: of the host's own addresses, of
/// knocks, of what is open to everybody.
#[test]
fn only_what_needs_a_grant_can_be_cut() {
    let all = Rules { always_open: vec![tcp(80, 80)], ..rules(Policy::Drop) };
    for (transport, port, closes) in [
        (Transport::Tcp, 22, true),
        (Transport::Udp, 22, true),
        (Transport::Tcp, 80, false),
        (Transport::Udp, 5000, false),
        (Transport::Tcp, 5000, true),
        (Transport::Udp, 68, false),
        (Transport::Udp, 546, false),
    ] {
        assert_eq!(all.closes(transport, port), closes, "{transport}/{port}");
        assert!(!rules(Policy::None).closes(transport, port));
    }
    let some = Rules { protected: vec![tcp(22, 23)], ..rules(Policy::Drop) };
    assert!(some.closes(Transport::Tcp, 23) && !some.closes(Transport::Tcp, 24));
}
