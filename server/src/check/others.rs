//! Other firewalls on this host: would they drop what sknock needs? Pure: judges what nft lists.
//!
//! One question is asked of each chain that sees packets for this host: what becomes of a new
//! connection from somewhere to this port? A rule that is for some packets only (an address, an
//! interface, a rate) is taken not to be for ours, and remembered. What is not understood is taken
//! both ways: then the administrator is told where to look, and neither silence nor a false alarm is
//! what they get.

mod fit;
mod legacy;
mod ruleset;
mod walk;

use std::collections::BTreeMap;

use sknock_protocol::{Service, Transport};

use crate::config::{FirewallPolicy, Intake, Settings};
use ruleset::{Base, Chain, Hook, Ruleset};
use walk::{Judgement, Walk};

/// A ruleset without large sets has a few 100 kB.
pub(super) const MOST_OF_A_RULESET: u64 = 32 << 20;

/// Where the kernel copies knocks for NFLOG: who drops them earlier is in the way, later not.
const HEARS_AT: i64 = sknock_gate::Rules::KNOCKS_PRIORITY as i64;

/// Each port of a range costs a walk through all rules.
const MOST_APART: usize = 64;

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Others {
    /// Chains that drop what sknock needs, and what that is.
    pub(super) closed: Vec<String>,
    /// Where the administrator should look for themselves, and why.
    pub(super) unclear: Vec<String>,
}

/// Judges the output of `nft -j list ruleset`. The error says what it is not.
pub(super) fn judge(json: &[u8], settings: &Settings) -> Result<Others, String> {
    let ruleset = Ruleset::parse(json)?;
    let mut told = BTreeMap::new();
    for need in needs(settings) {
        for v6 in [false, true] {
            ask(&ruleset, need, v6, &mut told);
        }
    }
    let mut others = Others::default();
    for ((chain, judgement), services) in told {
        let services = named(&services);
        match judgement {
            Judgement::Open => {}
            Judgement::Closed(place) => {
                others.closed.push(format!("{chain} drops {services} ({place})"));
            }
            Judgement::Partly(place) => others
                .unclear
                .push(format!("{chain} lets {services} through only in part ({place})")),
            Judgement::Unclear(place) => others.unclear.push(format!(
                "{chain}: whether {services} gets through could not be understood ({place})"
            )),
            Judgement::PassedOn(place) => others.unclear.push(format!(
                "{chain} passes {services} on to another address or port ({place}): sknock closes \
                 and opens it as the client dials it, whoever is asked later was not looked at"
            )),
        }
    }
    others.unclear.extend(
        ruleset
            .early
            .iter()
            .map(|chain| format!("{chain} sees packets before sknock does, and was not looked at")),
    );
    Ok(others)
}

/// What must get through, and how far.
#[derive(Clone, Copy, Debug)]
struct Need {
    service: Service,
    /// It has to reach a socket of this host; else only the kernel's copying of knocks.
    arrives: bool,
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
    let opened = opened.into_iter().flat_map(apart).map(|service| Need { service, arrives: true });
    let arrives = knocks.intake == Intake::Socket;
    opened.chain(knocks.ports.iter().map(|&service| Need { service, arrives })).collect()
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
type Told = BTreeMap<(String, Judgement), Vec<(Service, [bool; 2])>>;

fn ask(ruleset: &Ruleset, need: Need, v6: bool, told: &mut Told) {
    let sees = |base: &Base| match base.hook {
        Hook::Prerouting => need.arrives || base.priority <= HEARS_AT,
        Hook::Input => need.arrives,
    };
    let mut tell = |chain: &Chain, judgement: Judgement| {
        let services = told.entry((chain.to_string(), judgement)).or_default();
        if !services.iter().any(|(service, _)| *service == need.service) {
            services.push((need.service, [false; 2]));
        }
        for (service, families) in services {
            families[usize::from(v6)] |= *service == need.service;
        }
    };
    // Who looks at the packet first comes first: what is passed on is not what later chains see.
    for (chain, base) in ruleset.bases(v6).filter(|(_, base)| sees(base)) {
        let judgement = Walk::judge(ruleset, chain, base, need.service, v6);
        let passed_on = matches!(judgement, Judgement::PassedOn(_));
        tell(chain, judgement);
        if passed_on {
            return;
        }
    }
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
#[path = "others/tests.rs"]
mod tests;
