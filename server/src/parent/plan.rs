//! What the settings mean for the gate: its rules and its ceiling. Pure.

use std::time::Duration;

use sknock_gate::{Ceiling, Policy, PortRange, Rules, Transport};
use sknock_protocol::{Service, v2};

use crate::config::{FirewallPolicy, Settings};

/// What the table looks like.
pub(crate) fn rules(settings: &Settings) -> Rules {
    let firewall = &settings.firewall;
    Rules {
        policy: match firewall.policy {
            FirewallPolicy::None => Policy::None,
            FirewallPolicy::Reject => Policy::Reject,
            FirewallPolicy::Drop => Policy::Drop,
        },
        protected: ranges(&firewall.protected),
        always_open: ranges(&firewall.always_open),
        knock_ports: PortRange::one(Transport::Udp, settings.knocks.port).into_iter().collect(),
        knock_lengths: (KNOCK, KNOCK),
        capacity: settings.grants.live.saturating_mul(2),
        gc_interval: Duration::from_secs(2),
    }
}

/// The most that the gate will ever do.
pub(crate) fn ceiling(settings: &Settings) -> Ceiling {
    let grants = &settings.grants;
    let services = match grants.services.as_slice() {
        [] => all_ports().collect(),
        some => ranges(some),
    };
    Ceiling {
        services,
        longest: Duration::from_secs(grants.longest.into()),
        live: usize::try_from(grants.live).unwrap_or(usize::MAX),
        per_second: grants.per_second,
    }
}

/// What is protected and how, in a few words.
pub(crate) fn summary(settings: &Settings) -> String {
    let firewall = &settings.firewall;
    let policy = match firewall.policy {
        FirewallPolicy::None => return "firewallPolicy = none: nothing is closed".to_owned(),
        FirewallPolicy::Reject => "reject",
        FirewallPolicy::Drop => "drop",
    };
    let list = |services: &[Service]| {
        services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match (firewall.protected.as_slice(), firewall.always_open.as_slice()) {
        ([], []) => format!("{policy} everything"),
        ([], open) => format!("{policy} everything but {}", list(open)),
        (protected, _) => format!("{policy} {}", list(protected)),
    }
}

fn ranges(services: &[Service]) -> Vec<PortRange> {
    let range = |service: &Service| {
        let transport = Transport::from_number(service.transport() as u8)?;
        PortRange::new(transport, service.first(), service.last())
    };
    services.iter().filter_map(range).collect()
}

fn all_ports() -> impl Iterator<Item = PortRange> {
    [Transport::Tcp, Transport::Udp]
        .into_iter()
        .filter_map(|transport| PortRange::new(transport, 1, u16::MAX))
}

/// A v2 knock in the UDP header's length field, which counts its own 8 bytes.
#[expect(clippy::cast_possible_truncation, reason = "1208")]
const KNOCK: u16 = v2::DATAGRAM_LENGTH as u16 + 8;
