//! Other firewalls on this host: would they drop what sknock needs? Pure: judges what nft lists.
//!
//! One question is asked of each chain that sees packets for this host: what becomes of a new
//! connection from somewhere to this port? A rule that is for some packets only (an address, an
//! interface, a rate) is taken not to be for ours, and remembered. What is not understood is taken
//! both ways: then the administrator is told where to look, and neither silence nor a false alarm is
//! what they get.
//!
//! Why not load the ruleset into a network namespace and send a packet? A packet answers for one source,
//! one interface, one moment and one state of sets, quotas and rates. The question here is whether *any*
//! client can be reached, and by which rule not, so that the message can name it. A copy of the ruleset
//! also lacks this host's interfaces, routes and addresses, which rules of ufw, firewalld and Docker
//! match, and the tables of iptables-legacy, which nft does not list.

mod evaluator;
mod matching;
mod neighbours;
mod rule;
mod ruleset;

use std::collections::BTreeMap;

use sknock_protocol::{Service, Transport};

use crate::config::{FirewallPolicy, Intake, Settings};
pub use neighbours::Manner;

use evaluator::{Evaluator, Judgement, RulePlace};
use matching::{Course, ProbePacket};
use ruleset::{Base, ForeignHook, Ruleset};

/// Where the kernel copies knocks for NFLOG: who drops them earlier is in the way, later not.
const HEARS_AT: i64 = sknock_gate::TableSpec::KNOCKS_PRIORITY as i64;

/// Each port of a range costs a walk through all rules.
const MOST_APART: usize = 64;

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Conflicts {
    /// Chains that drop what sknock needs, and what that is.
    pub(super) closed: Vec<String>,
    /// Each service that some chain drops from everywhere, over IPv4, and over IPv6.
    pub(super) shut: Vec<(Service, [bool; 2])>,
    /// Chains that drop answers to knocks, and where from.
    pub(super) answers: Vec<String>,
    /// Chains that keep protected ports from conntrack, or may do so.
    pub(super) untracked: Vec<String>,
    /// Where all traffic is denied: chains that pass on connections to other addresses than ours.
    pub(super) passed_on: Vec<String>,
    /// How ports beside protected ones answer, and beside which.
    pub(super) beside: Vec<NeighbourPorts>,
    /// Where the administrator should look for themselves, and why.
    pub(super) unclear: Vec<String>,
}

/// Protected services, and how ports beside them answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NeighbourPorts {
    /// As people read it: `tcp/22 over IPv4`.
    pub services: String,
    /// What comes back from the ports beside them.
    pub manner: Manner,
}

/// Judges the output of `nft -j list ruleset`. The error says what it is not.
pub(super) fn judge(json: &[u8], settings: &Settings) -> Result<Conflicts, String> {
    let ruleset = Ruleset::parse(json)?;
    let mut heard = Heard::default();
    for need in needs(settings) {
        for v6 in [false, true] {
            ask(&ruleset, need, v6, &mut heard);
        }
    }
    let passed_on = foreign(&ruleset, settings);
    let beside = neighbours::look(&ruleset, settings).into_iter();
    let beside =
        beside.map(|((_, manner), services)| NeighbourPorts { services: named(&services), manner });
    let mut others = Conflicts {
        passed_on,
        shut: heard.shut(),
        beside: beside.collect(),
        ..Conflicts::default()
    };
    for ((chain, place), services) in heard.untracked {
        others.untracked.push(format!("{chain} has {} ({place})", named(&services)));
    }
    for ((chain, leaves, judgement), services) in heard.told {
        let from = if leaves { "answers from " } else { "" };
        let services = from.to_owned() + &named(&services);
        match judgement {
            Judgement::Open => {}
            Judgement::Closed(place) if leaves => {
                others.answers.push(format!("{chain} drops {services} ({place})"));
            }
            Judgement::Closed(place) => {
                others.closed.push(format!("{chain} drops {services} ({place})"));
            }
            Judgement::Partly(place) => {
                others.unclear.push(format!("{chain} accepts {services} only in part ({place})"));
            }
            Judgement::Unclear(place) => others.unclear.push(format!(
                "{chain}: the rules for {services} could not be evaluated ({place})"
            )),
            Judgement::PassedOn(place) => others.unclear.push(format!(
                "{chain} redirects {services} to another address or port ({place}): sknock \
                 filters the port that the client addresses; chains after the redirect were not \
                 tested"
            )),
        }
    }
    others.unclear.extend(
        ruleset
            .early
            .iter()
            .map(|chain| format!("{chain} sees packets before sknock and was not tested")),
    );
    Ok(others)
}

/// What must get through, and how far.
#[derive(Clone, Copy, Debug)]
struct Need {
    service: Service,
    reaches: Reaches,
}

/// How far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reaches {
    /// A service of this host.
    Service,
    /// Our socket, for knocks.
    Socket,
    /// The kernel's copying of knocks.
    Copy,
    /// The network: an answer, from this port.
    Network,
}

fn needs(settings: &Settings) -> Vec<Need> {
    let (firewall, knocks) = (&settings.firewall, &settings.knocks);
    let all = || {
        let whole = |transport| Service::new(transport, 1, u16::MAX);
        [Transport::Tcp, Transport::Udp].into_iter().filter_map(whole).collect()
    };
    let opened = match (&*firewall.protected, &*settings.grants.services) {
        // Nothing is closed by us, so others are meant to close.
        _ if firewall.policy == FirewallPolicy::None => Vec::new(),
        ([], []) => all(),
        ([], some) | (some, _) => some.to_vec(),
    };
    let opened = opened
        .into_iter()
        .flat_map(apart)
        .map(|service| Need { service, reaches: Reaches::Service });
    let heard = if knocks.intake == Intake::Socket { Reaches::Socket } else { Reaches::Copy };
    let knocks = knocks.ports.iter();
    let knocks = knocks
        .flat_map(|&service| [heard, Reaches::Network].map(|reaches| Need { service, reaches }));
    opened.chain(knocks).collect()
}

/// Neighbouring ports may be treated differently; where there are many, they are asked about together.
fn apart(service: Service) -> Vec<Service> {
    let ports = service.first()..=service.last();
    if ports.len() > MOST_APART {
        return vec![service];
    }
    ports.filter_map(|port| Service::new(service.transport(), port, port)).collect()
}

/// The services that a chain treats alike, each with the families of addresses.
type ServicesByChain<K> = BTreeMap<K, Vec<(Service, [bool; 2])>>;

/// What was heard of all chains.
#[derive(Default)]
struct Heard {
    /// By chain, whether it is about answers, and what becomes of them.
    told: ServicesByChain<(String, bool, Judgement)>,
    /// By chain and rule.
    untracked: ServicesByChain<(String, RulePlace)>,
}

impl Heard {
    /// What does not come in, by whichever chains.
    fn shut(&self) -> Vec<(Service, [bool; 2])> {
        let mut shut: Vec<(Service, [bool; 2])> = Vec::new();
        let closed = self.told.iter().filter(|((_, leaves, judgement), _)| {
            !leaves && matches!(judgement, Judgement::Closed(_))
        });
        for (service, families) in closed.flat_map(|(_, services)| services) {
            match shut.iter_mut().find(|(known, _)| known == service) {
                Some((_, known)) => (0..2).for_each(|family| known[family] |= families[family]),
                None => shut.push((*service, *families)),
            }
        }
        shut
    }
}

fn tell<K: Ord>(told: &mut ServicesByChain<K>, key: K, need: Need, v6: bool) {
    let services = told.entry(key).or_default();
    if !services.iter().any(|(service, _)| *service == need.service) {
        services.push((need.service, [false; 2]));
    }
    for (service, families) in services {
        families[usize::from(v6)] |= *service == need.service;
    }
}

fn ask(ruleset: &Ruleset, need: Need, v6: bool, heard: &mut Heard) {
    let sees = |base: &Base| match (need.reaches, base.hook) {
        (Reaches::Network, hook) => hook == ForeignHook::Output,
        (_, ForeignHook::Output) | (Reaches::Copy, ForeignHook::Input) => false,
        // At an equal priority the order depends on which chain was made first, which the listing does not
        // tell.
        (Reaches::Copy, ForeignHook::Prerouting) => base.priority <= HEARS_AT,
        (Reaches::Service | Reaches::Socket, _) => true,
    };
    let leaves = need.reaches == Reaches::Network;
    let course = if leaves { Course::Leaving } else { Course::Arriving };
    let packet = ProbePacket { service: need.service, v6, course, ruleset };
    // All base chains: `accept` in one of them does not keep a later one from dropping the packet (nft(8)).
    // Who looks at the packet first comes first: what is passed on is not what later chains see.
    for (chain, base) in ruleset.bases(v6).filter(|(_, base)| sees(base)) {
        let (judgement, untracked) = Evaluator::judge(packet, chain, base);
        if let Some(place) = untracked.filter(|_| need.reaches == Reaches::Service) {
            tell(&mut heard.untracked, (chain.to_string(), place), need, v6);
        }
        let passed_on = matches!(judgement, Judgement::PassedOn(_));
        tell(&mut heard.told, (chain.to_string(), leaves, judgement), need, v6);
        if passed_on {
            return;
        }
    }
}

/// Chains that pass on what is for other addresses than ours, where all traffic is denied: what they
/// translate is judged like what is for us.
fn foreign(ruleset: &Ruleset, settings: &Settings) -> Vec<String> {
    let firewall = &settings.firewall;
    let mut found = Vec::new();
    if firewall.policy == FirewallPolicy::None || !firewall.protected.is_empty() {
        return found;
    }
    let whole = |transport| Service::new(transport, 1, u16::MAX);
    for service in [Transport::Tcp, Transport::Udp].into_iter().filter_map(whole) {
        for v6 in [false, true] {
            let packet = ProbePacket { service, v6, course: Course::Foreign, ruleset };
            // The nat type permits `dnat` in prerouting and output only (nft(8)), and output sees own packets
            // only.
            let bases = ruleset.bases(v6).filter(|(_, base)| base.hook == ForeignHook::Prerouting);
            found.extend(bases.filter_map(|(chain, base)| {
                match Evaluator::judge(packet, chain, base).0 {
                    Judgement::PassedOn(place) => Some(format!("{chain} ({place})")),
                    _ => None,
                }
            }));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// `tcp/22, udp/53 over IPv6`: the family is told where it makes a difference.
fn named(services: &[(Service, [bool; 2])]) -> String {
    let mut ranges: Vec<(Service, [bool; 2])> = Vec::new();
    for &(service, families) in services {
        let before = ranges.last().filter(|(range, others)| {
            range.transport() == service.transport()
                && range.last().checked_add(1) == Some(service.first())
                && *others == families
        });
        let joined = before
            .and_then(|(range, _)| Service::new(range.transport(), range.first(), service.last()));
        match (joined, ranges.last_mut()) {
            (Some(joined), Some(last)) => last.0 = joined,
            _ => ranges.push((service, families)),
        }
    }
    let name = |(service, families): &(Service, [bool; 2])| match families {
        [true, false] => format!("{service} over IPv4"),
        [false, true] => format!("{service} over IPv6"),
        _ => service.to_string(),
    };
    ranges.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "foreign_firewalls/tests.rs"]
mod tests;
