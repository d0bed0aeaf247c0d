//! Derives the gate's rules and request limits from the settings. Pure, except for the uid of the answering
//! user and the kernel's ephemeral ports.

use std::time::Duration;

use nix::unistd::geteuid;
use sknock_gate::{
    Answers, Ceiling, FirewallPolicy, KnockCapture, OnRevoke, PortRange, SourceLimit, TableSpec,
    Transport,
};
use sknock_protocol::{ANSWER_LENGTH, Service, v1, v2};

use super::privilege::Account;
use crate::config::{self, Intake, KnockSettings, Settings};
use crate::sys::local_ports;

/// The content of the table.
pub(crate) fn table_spec(settings: &Settings) -> TableSpec {
    let firewall = &settings.firewall;
    TableSpec {
        policy: match firewall.policy {
            config::FirewallPolicy::None => FirewallPolicy::None,
            config::FirewallPolicy::Reject => FirewallPolicy::Reject,
            config::FirewallPolicy::Drop => FirewallPolicy::Drop,
        },
        protected: firewall.protected.clone(),
        always_open: firewall.always_open.clone(),
        knock_ports: settings.knocks.ports.clone(),
        knock_lengths: knock_lengths(settings),
        // No v1 knock has this length.
        tagged_length: Some(with_header(v2::DATAGRAM_LENGTH)),
        capture: match settings.knocks.intake {
            Intake::Socket => KnockCapture::Socket,
            Intake::Nflog => KnockCapture::Log { group: settings.knocks.group },
        },
        source_limit: meter(&settings.knocks),
        answers: Answers { udp_length: with_header(ANSWER_LENGTH), user: answers(settings) },
        ephemeral: ephemeral(),
        on_revoke: match settings.revocation.ending {
            config::OnRevoke::Cut => OnRevoke::Terminate,
            config::OnRevoke::Close => OnRevoke::KeepExisting,
        },
        capacity: settings.grants.live.saturating_mul(2),
        gc_interval: Duration::from_secs(2),
    }
}

/// The user whose process answers knocks. If the user does not exist, no process is started either.
fn answers(settings: &Settings) -> u32 {
    let account = Account::find(&settings.process.user);
    account.map_or_else(|_| geteuid(), |account| account.uid).as_raw()
}

/// The ephemeral ports of this host.
fn ephemeral() -> Vec<PortRange> {
    let range = |(first, last)| PortRange::new(Transport::Udp, first, last);
    local_ports::look().into_iter().filter_map(range).collect()
}

/// The rate limit for knocks of one source.
pub(crate) fn meter(knocks: &KnockSettings) -> Option<SourceLimit> {
    let per_second = knocks.per_source;
    // A burst of five seconds' worth: many users may be behind one address.
    let burst = per_second.saturating_mul(5);
    (per_second > 0).then_some(SourceLimit { per_second, burst, sources: SOURCES })
}

/// The number of sources of each family that the kernel remembers for six seconds; 13 MB when full.
const SOURCES: u32 = 65_536;

/// The request limits of the gate.
pub(crate) fn ceiling(settings: &Settings) -> Ceiling {
    let grants = &settings.grants;
    let mut services = match grants.services.as_slice() {
        [] => all_ports().collect(),
        some => some.to_vec(),
    };
    for knocks in table_spec(settings).dedicated_knock_ports() {
        services = services.iter().flat_map(|service| service.without(knocks)).collect();
    }
    Ceiling {
        services,
        longest: Duration::from_secs(grants.longest.into()),
        live: usize::try_from(grants.live).unwrap_or(usize::MAX),
        per_second: grants.per_second,
        shares: grants.shares(),
    }
}

/// The protected ports and the policy, in a few words.
pub(crate) fn summary(settings: &Settings) -> String {
    let firewall = &settings.firewall;
    let policy = match firewall.policy {
        config::FirewallPolicy::None => {
            return "firewallPolicy = none: no port is protected".to_owned();
        }
        config::FirewallPolicy::Reject => "reject",
        config::FirewallPolicy::Drop => "drop",
    };
    let list = |services: &[Service]| {
        services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match (firewall.protected.as_slice(), firewall.always_open.as_slice()) {
        ([], []) => format!("{policy} everything"),
        ([], open) => format!("{policy} everything except {}", list(open)),
        (protected, _) => format!("{policy} {}", list(protected)),
    }
}

fn all_ports() -> impl Iterator<Item = PortRange> {
    [Transport::Tcp, Transport::Udp]
        .into_iter()
        .filter_map(|transport| PortRange::new(transport, 1, u16::MAX))
}

/// The shortest and the longest knock, as in the UDP header's length field, which includes its own 8 bytes.
///
/// With v1, all lengths in between pass the rules, though not all of them are knocks: nftables has no cheap
/// test for multiples of 16, and the server refuses the rest by length.
fn knock_lengths(settings: &Settings) -> (u16, u16) {
    let v2 = with_header(v2::DATAGRAM_LENGTH);
    match settings.knocks.v1().map(v1::V1Rules::lengths) {
        None => (v2, v2),
        Some(v1) => (with_header(*v1.start()).min(v2), with_header(*v1.end()).max(v2)),
    }
}

/// The UDP header's length field for this payload.
fn with_header(payload: usize) -> u16 {
    u16::try_from(payload + 8).unwrap_or(u16::MAX)
}
