//! How ports beside the protected ones answer where another firewall closes them: by that a protected
//! port can be told from them.

use std::collections::BTreeMap;

use serde_json::Value;
use sknock_protocol::service::all_covered;
use sknock_protocol::{Service, Transport};

use super::evaluator::{Evaluator, Judgement, RulePlace};
use super::matching::{Course, ProbePacket};
use super::ruleset::{ForeignChain, ForeignHook, Ruleset};
use crate::config::{FirewallPolicy, Settings};

/// Candidates on either side: one of them may be let through on purpose.
const CANDIDATES: u16 = 8;

/// What comes back from a port where nobody listens.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Manner {
    /// No other firewall closes it: what the kernel says, a reset or "port unreachable".
    Closed,
    /// Nothing.
    Silent,
    /// The same as the kernel says, by another firewall.
    AsClosed,
    /// This, which no closed port says.
    Other(String),
}

impl Manner {
    /// Which policy has a protected port answer so, if any.
    pub(in crate::commands::check) fn policy(&self) -> Option<FirewallPolicy> {
        match self {
            Self::Closed | Self::AsClosed => Some(FirewallPolicy::Reject),
            Self::Silent => Some(FirewallPolicy::Drop),
            Self::Other(_) => None,
        }
    }
}

/// Protected services, and how the ports beside them answer.
pub(super) type NeighboursByAnswer = BTreeMap<(Transport, Manner), Vec<(Service, [bool; 2])>>;

/// Looks beside each protected service.
pub(super) fn look(ruleset: &Ruleset, settings: &Settings) -> NeighboursByAnswer {
    let mut beside = NeighboursByAnswer::new();
    if settings.firewall.policy == FirewallPolicy::None {
        return beside;
    }
    for &service in &settings.firewall.protected {
        for v6 in [false, true] {
            let Some(manner) = manner_beside(ruleset, settings, service, v6) else { continue };
            let alike = beside.entry((service.transport(), manner)).or_default();
            match alike.iter_mut().find(|(known, _)| *known == service) {
                Some((_, families)) => families[usize::from(v6)] = true,
                None => alike.push((service, [!v6, v6])),
            }
        }
    }
    beside
}

/// How most ports beside it answer, as far as can be told: one that is closed by others is not let through
/// on purpose.
fn manner_beside(
    ruleset: &Ruleset,
    settings: &Settings,
    service: Service,
    v6: bool,
) -> Option<Manner> {
    let ports = |away: u16| [service.last().checked_add(away), service.first().checked_sub(away)];
    let candidates = (1..=CANDIDATES).flat_map(ports).flatten();
    let candidates = candidates.filter_map(|port| Service::new(service.transport(), port, port));
    let ours = [&settings.firewall.protected, &settings.knocks.ports];
    let candidates =
        candidates.filter(|candidate| !ours.iter().any(|ours| all_covered(candidate, ours)));
    let manners: Vec<Manner> =
        candidates.filter_map(|candidate| manner(ruleset, candidate, v6)).collect();
    let by_others = manners.iter().find(|manner| **manner != Manner::Closed);
    by_others.or(manners.first()).cloned()
}

/// How one port answers; nothing if that depends, or is not understood.
fn manner(ruleset: &Ruleset, service: Service, v6: bool) -> Option<Manner> {
    let packet = ProbePacket { service, v6, course: Course::Arriving, ruleset };
    for (chain, base) in ruleset.bases(v6).filter(|(_, base)| base.hook != ForeignHook::Output) {
        match Evaluator::judge(packet, chain, base).0 {
            Judgement::Open => {}
            Judgement::Closed(place) => {
                return Some(by(ruleset, chain, &place, service.transport()));
            }
            Judgement::Partly(_) | Judgement::Unclear(_) | Judgement::PassedOn(_) => return None,
        }
    }
    Some(Manner::Closed)
}

/// What is sent back where a packet is dropped.
fn by(ruleset: &Ruleset, base: &ForeignChain, place: &RulePlace, transport: Transport) -> Manner {
    // The policy of a chain is `accept` or `drop`; there is no policy `reject` (nft(8)).
    let RulePlace::Rule { chain, handle } = place else { return Manner::Silent };
    let rules = ruleset.beside(base, chain).map(|chain| chain.rules.iter());
    let rule = rules.into_iter().flatten().find(|rule| rule.handle == *handle);
    let statements = rule.map(|rule| rule.statements.as_slice()).unwrap_or_default();
    let rejects = statements.iter().find_map(|statement| {
        let by_iptables = statement["xt"]["name"] == "REJECT";
        statement.get("reject").or(by_iptables.then_some(&Value::Null))
    });
    let Some(rejects) = rejects else { return Manner::Silent };
    match (rejects["type"].as_str(), rejects["expr"].as_str(), transport) {
        // Without an expression it is the default of nft; of iptables nft shows none.
        (Some("tcp reset"), _, Transport::Tcp)
        | (_, None | Some("port-unreachable"), Transport::Udp) => Manner::AsClosed,
        (_, None, Transport::Tcp) => Manner::Other("port-unreachable".to_owned()),
        (_, Some(code), _) => Manner::Other(code.to_owned()),
    }
}
