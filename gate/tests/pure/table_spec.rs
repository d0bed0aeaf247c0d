//! The table's description.

use std::time::Duration;

use sknock_gate::{
    Answers, Chain, ChainKind, ChainName, FirewallPolicy, KnockCapture, Match, OnRevoke, PortRange,
    Rule, SourceLimit, SpecError, TableSpec, Transport, Verdict,
};

use crate::{tcp, udp};

/// Labels of flows that were admitted, in the direction of the first packet and in the other one.
const IS_ADMITTED: [Match; 2] = [Match::HasLabel(101), Match::HasLabel(104)];
const ADMIT: [Match; 2] = [Match::SetLabel(101), Match::SetLabel(104)];
const DIRECTION: [Match; 2] = [Match::Original, Match::Reply];

const LOG: KnockCapture = KnockCapture::Log { group: 7 };

pub(crate) fn rules(policy: FirewallPolicy) -> TableSpec {
    TableSpec {
        policy,
        protected: vec![],
        always_open: vec![],
        knock_ports: vec![udp(5000, 5000)],
        knock_lengths: (1208, 1208),
        tagged_length: None,
        capture: LOG,
        source_limit: None,
        answers: Answers { udp_length: 104, user: 65534 },
        ephemeral: vec![],
        on_revoke: OnRevoke::Terminate,
        capacity: 512,
        gc_interval: Duration::from_secs(2),
    }
}

/// What the policies, scopes and intakes make of the table.
pub(crate) fn all_tables() -> Vec<TableSpec> {
    let mut tables = Vec::new();
    for policy in [FirewallPolicy::Reject, FirewallPolicy::Drop] {
        for protected in [vec![], vec![tcp(22, 22), tcp(8000, 8010), udp(53, 53)]] {
            for capture in [LOG, KnockCapture::Socket] {
                for tagged_length in [None, Some(1208)] {
                    let protected = protected.clone();
                    tables.push(TableSpec { capture, protected, tagged_length, ..rules(policy) });
                }
            }
        }
    }
    tables
}

fn chain(rules: &TableSpec, kind: ChainKind) -> Vec<Rule> {
    let found = rules.chains().into_iter().find(|chain| chain.name == kind.into());
    found.unwrap_or_else(|| panic!("no chain {kind:?}")).lines
}

/// A SYN is never judged by conntrack, and a blocked flow by nothing else.
#[test]
fn blocked_flows_and_syns_come_before_what_is_established() {
    for rules in all_tables() {
        for kind in [ChainKind::Input, ChainKind::Translated] {
            let lines = chain(&rules, kind);
            let place = |of: &[Match]| lines.iter().position(|line| line.matches == of);
            let established = place(&[DIRECTION[0], IS_ADMITTED[0]]).unwrap();
            let syn = place(&[Match::Syn]).unwrap();
            let is_block = |line: &Rule| matches!(line.matches[..], [Match::In(..)]);
            let last_block = lines.iter().rposition(is_block).unwrap();
            assert!(last_block < syn && syn < established, "{lines:?}");
            // Nothing is refused before that but by a block, or at a knock port.
            let to_knock = Some(&Match::Ports(udp(5000, 5000)));
            let mut early = lines.iter().take(syn);
            assert!(early.all(|line| {
                let known = [Match::DestinationTranslated, Match::Reply];
                let own = |line: &Rule| line.matches.first() == Some(&Match::FromLoopback);
                is_block(line)
                    || line.matches.first() == to_knock
                    || own(line)
                    || line.matches == [Match::Syn, Match::Reply]
                    || matches!(line.matches[..], [one] if known.contains(&one))
            }));
        }
        // Also one that answers a flow which began here.
        let first = chain(&rules, ChainKind::Translated).swap_remove(0);
        assert_eq!(first.matches, [Match::Syn, Match::Reply]);
        assert_eq!(first.verdict, Verdict::Goto(ChainKind::TcpSyn.into()));
        for kind in [
            ChainKind::TcpSyn,
            ChainKind::TranslatedSyn,
            ChainKind::AnyGrant,
            ChainKind::TranslatedAnyGrant,
        ] {
            let by_flow = [IS_ADMITTED[0], IS_ADMITTED[1], Match::Established];
            let asks = |line: &Rule| by_flow.iter().any(|one| line.matches.contains(one));
            assert!(!chain(&rules, kind).iter().any(asks), "{kind:?}");
        }
    }
}

/// A stranger can forge both sides of a flow of UDP. A connection of TCP needs a socket that agrees.
#[test]
fn what_conntrack_calls_established_is_accepted_of_tcp_only() {
    let tcp = Match::Protocol(Transport::Tcp.number());
    let accepts = |line: &Rule| line.verdict == Verdict::Accept;
    let by_state = |line: &Rule| line.matches.contains(&Match::Established) && accepts(line);
    for rules in all_tables() {
        let chains = rules.chains();
        let lines: Vec<&Rule> = chains.iter().flat_map(|chain| &chain.lines).collect();
        let by_state: Vec<&&Rule> = lines.iter().filter(|line| by_state(line)).collect();
        assert_eq!(by_state.len(), 2, "in `input` and in `translated`");
        assert!(by_state.iter().all(|line| line.matches == [tcp, Match::Established]));
        for (direction, label) in DIRECTION.into_iter().zip(IS_ADMITTED) {
            let asks = |line: &&Rule| line.matches.contains(&label);
            assert!(lines.iter().any(|line| line.matches == [direction, label] && accepts(line)));
            let other = lines.iter().filter(|line| asks(line) && line.matches[0] != direction);
            // What this host sends goes the other way.
            assert_eq!(other.filter(|line| accepts(line)).count(), 1);
        }
    }
}

/// A label is for who has a grant, and for who was called from here.
#[test]
fn only_a_grant_and_this_hosts_own_packets_admit_a_flow() {
    for rules in all_tables() {
        for chain in rules.chains() {
            let admits = ADMIT
                .iter()
                .any(|label| chain.lines.iter().any(|line| line.matches.contains(label)));
            let admitting =
                [ChainKind::AdmitReceived, ChainKind::AdmitAnswers].map(ChainName::from);
            assert_eq!(admits, admitting.contains(&chain.name), "{}", chain.name);
            let leads = |line: &&Rule, kind: ChainKind| line.verdict == Verdict::Goto(kind.into());
            for line in chain.lines.iter().filter(|line| leads(line, ChainKind::AdmitReceived)) {
                assert!(matches!(line.matches[..], [Match::In(..)]), "{}: {line}", chain.name);
            }
            for line in chain.lines.iter().filter(|line| leads(line, ChainKind::AdmitAnswers)) {
                let own = line.matches.contains(&Match::FromLocal);
                assert!(own && chain.name == ChainKind::Output.into(), "{}: {line}", chain.name);
            }
        }
    }
}

/// No destination is asked for but where knocks are captured, and of what this host sends: what the kernel delivers is
/// judged.
#[test]
fn only_the_capture_of_knocks_asks_of_what_arrives_whether_it_is_local() {
    for rules in all_tables() {
        for chain in rules.chains() {
            let asks = chain.lines.iter().any(|line| line.matches.contains(&Match::ToLocal));
            let known = [ChainKind::Knocks, ChainKind::KnockUntagged, ChainKind::AdmitAnswers];
            assert_eq!(asks, known.map(ChainName::from).contains(&chain.name), "{}", chain.name);
        }
    }
}

/// With tags, whatever has none is sorted out before routing is asked and before anything is copied.
#[test]
fn tags_are_looked_up_first_at_every_knock_port() {
    let ports = vec![udp(5000, 5000), udp(6000, 6100), udp(53, 53)];
    for policy in [FirewallPolicy::None, FirewallPolicy::Reject, FirewallPolicy::Drop] {
        let tagged = TableSpec {
            knock_ports: ports.clone(),
            always_open: vec![udp(53, 53)],
            tagged_length: Some(1208),
            ..rules(policy)
        };
        let lines = chain(&tagged, ChainKind::Knocks);
        for &port in &ports {
            let at = |line: &&Rule| line.matches.contains(&Match::Ports(port));
            let first = lines.iter().find(at).unwrap();
            let [here, length, Match::FamilyIn(_), Match::TagNotIn(_)] = first.matches[..] else {
                panic!("{first}")
            };
            assert_eq!([here, length], [Match::Ports(port), Match::UdpLength((1208, 1208))]);
            // In a range, or at a port that is open, there may be other services.
            let drops = policy == FirewallPolicy::Drop && port == udp(5000, 5000);
            let untagged = Verdict::Goto(ChainKind::KnockUntagged.into());
            assert_eq!(first.verdict, if drops { untagged } else { Verdict::Return });
        }
        let untagged = TableSpec { tagged_length: None, ..tagged };
        let asks = |line: &Rule| line.matches.iter().any(|one| matches!(one, Match::TagNotIn(_)));
        assert!(!untagged.chains().iter().flat_map(|chain| &chain.lines).any(asks));
    }
}

#[test]
fn with_policy_none_only_the_knock_port_refuses_packets() {
    for capture in [LOG, KnockCapture::Socket] {
        let rules = TableSpec { capture, ..rules(FirewallPolicy::None) };
        let refuses = |line: &Rule| {
            matches!(line.verdict, Verdict::Drop | Verdict::Reset | Verdict::Unreachable)
        };
        for chain in rules.chains() {
            let expected = chain.name == ChainKind::KnockUnprotected.into();
            assert_eq!(chain.lines.iter().any(refuses), expected, "{}", chain.name);
        }
    }
}

/// Whether a first packet to this port ends in the chain `refuse`, from somebody without a grant.
fn is_refused(rules: &TableSpec, ports: PortRange) -> bool {
    let (transport, port) = (ports.transport(), ports.first());
    let meets = |item: &Match| match *item {
        Match::Syn => transport == Transport::Tcp,
        Match::Protocol(number) => number == transport.number(),
        Match::Ports(ports) => ports.contains(transport, port),
        Match::Below(of, bound) => of == transport && port < bound,
        Match::Above(of, bound) => of == transport && port > bound,
        _ => false,
    };
    let chains = rules.chains();
    let mut at: ChainName = ChainKind::Input.into();
    loop {
        if [ChainKind::Refuse, ChainKind::Knock].map(ChainName::from).contains(&at) {
            return true;
        }
        let lines = &chains.iter().find(|chain| chain.name == at).unwrap().lines;
        match lines.iter().find(|line| line.matches.iter().all(meets)).map(|line| line.verdict) {
            Some(Verdict::Goto(next)) => at = next,
            Some(Verdict::Accept) | None => return false,
            other => panic!("{other:?}"),
        }
    }
}

/// The early lines for ports that are not protected must not go around the policy.
#[test]
fn every_port_meets_what_the_policy_says_of_it() {
    for rules in all_tables() {
        let tcp = [1, 21, 22, 23, 7999, 8000, 8010, 8011, 65535].map(|port| tcp(port, port));
        let udp = [1, 52, 53, 54, 4999, 5001, 65535].map(|port| udp(port, port));
        for one in tcp.into_iter().chain(udp) {
            let protected =
                rules.protected.is_empty() || rules.protected.iter().any(|of| of.overlaps(&one));
            assert_eq!(is_refused(&rules, one), protected, "{one} {rules:?}");
        }
    }
}

#[test]
fn a_knock_port_by_itself_is_for_knocks_only() {
    let only = |rules: &TableSpec| rules.dedicated_knock_ports().copied().collect::<Vec<_>>();
    let several = TableSpec {
        knock_ports: vec![udp(5000, 5000), udp(6000, 6010), udp(7000, 7000)],
        always_open: vec![udp(6990, 7010)],
        ..rules(FirewallPolicy::Drop)
    };
    assert_eq!(only(&several), [udp(5000, 5000)]);
    let bound = TableSpec { capture: KnockCapture::Socket, ..several };
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

/// Conntrack looks at a packet at priority -200: knocks are taken out before, and answers as well.
#[test]
fn knocks_and_answers_leave_no_entry_in_conntrack() {
    for kind in [ChainKind::Knocks, ChainKind::Answers] {
        let (_, priority) = kind.hook().unwrap();
        assert!(priority < libc::NF_IP_PRI_CONNTRACK);
    }
    for rules in all_tables() {
        let untracks = |lines: &[Rule]| lines.iter().any(|line| line.verdict == Verdict::Untrack);
        let drops = |lines: &[Rule]| lines.iter().any(|line| line.verdict == Verdict::Drop);
        assert!(untracks(&chain(&rules, ChainKind::Answers)));
        let knocks = chain(&rules, ChainKind::Knocks);
        let source_limit = chain(&rules, ChainKind::KnockMeter);
        // What is refused leaves none: an entry is confirmed when its packet is delivered.
        let at_knock = Some(&Match::Ports(udp(5000, 5000)));
        let refusing = [ChainKind::Refuse, ChainKind::KnockUnprotected];
        let all = rules.chains();
        let kinds = [ChainKind::Input, ChainKind::KnockClosed].map(ChainName::from);
        let arriving = all.iter().filter(|chain| kinds.contains(&chain.name));
        let refuses = arriving.flat_map(|chain| &chain.lines).any(|line| {
            let refused = refusing.iter().any(|&kind| line.verdict == Verdict::Goto(kind.into()));
            at_knock.is_some_and(|ports| line.matches.contains(ports)) && refused
        });
        assert!(
            untracks(&knocks) || untracks(&source_limit) || drops(&knocks) || refuses,
            "{rules:?}"
        );
    }
}

/// In a range of knock ports there may be services of others, whose packets are tracked as ever.
#[test]
fn in_a_range_only_our_answers_are_not_tracked() {
    let shared = TableSpec { knock_ports: vec![udp(5000, 5010)], ..rules(FirewallPolicy::Drop) };
    let untracked: Vec<String> = chain(&shared, ChainKind::Answers)
        .iter()
        .filter(|line| line.verdict == Verdict::Untrack)
        .map(ToString::to_string)
        .collect();
    let answer =
        "udp sport 5000-5010 udp length 104 udp dport != 53 meta skuid 65534 notrack".to_owned();
    assert_eq!(untracked, [answer]);
    assert!(!chain(&shared, ChainKind::Knocks).iter().any(|line| line.verdict == Verdict::Untrack));
}

/// Rules on trial lead only to each other, and each base chain asks them first.
#[test]
fn a_trial_has_chains_of_its_own() {
    for before in [None, Some(rules(FirewallPolicy::Reject)), Some(rules(FirewallPolicy::None))] {
        for new in all_tables() {
            let chains = new.chains_on_trial(before.as_ref());
            for Chain { name, hook, lines } in &chains {
                let kind = ChainKind::BASES.into_iter().find(|kind| kind.name() == name.name);
                assert_eq!(
                    *hook,
                    kind.filter(|_| name.prefix.is_empty()).and_then(ChainKind::hook)
                );
                let (first, rest) =
                    lines.split_first().unwrap_or_else(|| panic!("{name} is empty"));
                assert_eq!(
                    matches!(first.matches[..], [Match::FamilyIn(_)]),
                    hook.is_some(),
                    "{name}"
                );
                let inside = if hook.is_some() { rest } else { lines };
                for line in inside {
                    if let Verdict::Goto(to) | Verdict::Jump(to) = line.verdict {
                        assert_eq!(to.prefix, name.prefix);
                        assert!(chains.iter().any(|chain| chain.name == to), "{to}");
                    }
                }
            }
        }
    }
}

/// A source that is forgotten begins with a full meter: that must not come too early.
#[test]
fn a_source_is_remembered_until_its_meter_is_full_again() {
    for (per_second, burst, seconds) in [(1000, 5000, 6), (20, 101, 7), (1, 5, 6), (5, 1, 2)] {
        let source_limit = SourceLimit { per_second, burst, sources: 8 };
        assert_eq!(source_limit.retention(), Duration::from_secs(seconds));
    }
}

#[test]
fn rules_that_cannot_mean_what_they_say_are_named() {
    let check = |rules: TableSpec| rules.check();
    assert_eq!(check(rules(FirewallPolicy::None)), Ok(()));
    assert_eq!(
        check(TableSpec { knock_ports: vec![tcp(5000, 5000)], ..rules(FirewallPolicy::Drop) }),
        Err(SpecError::KnockPortNotUdp(tcp(5000, 5000)))
    );
    assert_eq!(
        check(TableSpec { protected: vec![tcp(22, 22)], ..rules(FirewallPolicy::None) }),
        Err(SpecError::ProtectedByNothing)
    );
    let both = TableSpec {
        protected: vec![tcp(1, 21), tcp(20, 30)],
        always_open: vec![udp(20, 30), tcp(22, 22)],
        ..rules(FirewallPolicy::Drop)
    };
    assert_eq!(check(both), Err(SpecError::ProtectedAndOpen(tcp(20, 30))));
}

/// A cut is for who needs a grant. Anything else would be a lock-out: of the host's own addresses, of
/// knocks, of what is open to everybody.
#[test]
fn only_ports_that_require_a_grant_can_be_blocked() {
    let all = TableSpec { always_open: vec![tcp(80, 80)], ..rules(FirewallPolicy::Drop) };
    for (transport, port, closes) in [
        (Transport::Tcp, 22, true),
        (Transport::Udp, 22, true),
        (Transport::Tcp, 80, false),
        (Transport::Udp, 5000, false),
        (Transport::Tcp, 5000, true),
        (Transport::Udp, 68, false),
        (Transport::Udp, 546, false),
    ] {
        assert_eq!(all.requires_grant(transport, port), closes, "{transport}/{port}");
        assert!(!rules(FirewallPolicy::None).requires_grant(transport, port));
    }
    let some = TableSpec { protected: vec![tcp(22, 23)], ..rules(FirewallPolicy::Drop) };
    assert!(some.requires_grant(Transport::Tcp, 23) && !some.requires_grant(Transport::Tcp, 24));
}
