//! Knock ports that have another use, too: reported at the start and at run time. That grants no access:
//! knocks are refused at their port, and answers leave no conntrack entry. So it is never an error; clients
//! of the original knock at random ports of a wide range, which may contain any service.
//!
//! With `intake = nflog` no socket is bound to a knock port, so it looks like any closed port; an answer
//! binds it for microseconds. A local user who binds it first suppresses answers. Grants are still made, but
//! the administrator must know.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::unistd::Uid;
use sknock_gate::BootInstant;
use sknock_netfilter::host::Bound;
use sknock_protocol::{Service, Transport};
use tracing::{info, warn};

use crate::config::finding::Finding;
use crate::config::{FirewallPolicy, Intake, Settings};

/// Maximum number of ports in a finding.
const MAX_LISTED: usize = 5;

/// Adds findings about protected ports and about ports with listening programs.
pub(crate) fn examine(settings: &Settings, listening: &BTreeSet<u16>, findings: &mut Vec<Finding>) {
    findings.extend(protected(settings));
    if settings.knocks.intake == Intake::Nflog {
        findings.extend(taken(settings, listening));
        findings.extend(shared(settings, listening));
    }
}

/// A range that contains a protected service. A single knock port is for knocks only, protected or not.
fn protected(settings: &Settings) -> Option<Finding> {
    let ranges = settings.knocks.ports.iter().filter(|ports| ports.width() > 1);
    let overlap = |ports: &Service| {
        let ours = settings.firewall.protected.iter();
        let ours = ours.filter(|service| service.transport() == Transport::Udp);
        ours.filter(|service| service.first() <= ports.last() && ports.first() <= service.last())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let services: BTreeSet<String> = ranges.flat_map(overlap).collect();
    let closes = settings.firewall.policy != FirewallPolicy::None;
    (closes && !services.is_empty()).then(|| {
        let services: Vec<String> = services.into_iter().take(MAX_LISTED).collect();
        Finding::warning(
            format!(
                "knockPort: a range contains protected ports ({}): datagrams to them with the \
                 length of a knock are evaluated as knocks, and answers to knocks come from them",
                services.join(", ")
            ),
            "Use ranges without them, or a single port. This grants no access",
        )
    })
}

/// Single ports: a program that listens there receives knocks, and sknockd receives its datagrams.
fn taken(settings: &Settings, listening: &BTreeSet<u16>) -> Option<Finding> {
    let single = settings.knocks.ports.iter().filter(|ports| ports.width() == 1);
    let taken = taken_ports(single, listening)?;
    Some(Finding::warning(
        format!(
            "knockPort: a program listens at {taken}: it may receive knocks, and sknockd may \
                 receive its datagrams"
        ),
        "Stop it (`ss -lunp` shows the program), or use another knock port",
    ))
}

/// Ranges, which may contain services.
fn shared(settings: &Settings, listening: &BTreeSet<u16>) -> Option<Finding> {
    let ranges = settings.knocks.ports.iter().filter(|ports| ports.width() > 1);
    let shared = taken_ports(ranges, listening)?;
    Some(Finding::note(
        format!(
            "knockPort: programs listen at {shared}: datagrams to them with the length of a \
             knock are also evaluated as knocks"
        ),
        "Use ranges without them if that costs too much",
    ))
}

fn taken_ports<'a>(
    ports: impl Iterator<Item = &'a Service>,
    listening: &BTreeSet<u16>,
) -> Option<String> {
    let taken = ports.flat_map(|ports| listening.range(ports.first()..=ports.last()));
    let taken: BTreeSet<u16> = taken.copied().collect();
    let more = taken.len().saturating_sub(MAX_LISTED);
    let names: Vec<String> =
        taken.iter().take(MAX_LISTED).map(|port| format!("udp/{port}")).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| names.join(", ") + &more)
}

/// The UDP ports with listening programs in this network namespace, except on loopback. Empty if `/proc`
/// cannot be read.
pub(crate) fn listening() -> BTreeSet<u16> {
    // Not /proc/net, which is the network namespace of the main thread (proc(5)).
    let files = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];
    let tables = files.map(|file| fs::read_to_string(file).unwrap_or_default());
    tables.iter().flat_map(|table| listed(table)).collect()
}

/// Entries of the kernel's list: sockets without a peer that are not bound to loopback.
fn listed(table: &str) -> impl Iterator<Item = u16> + '_ {
    table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote) = (words.next()?, words.next()?);
        let (address, port) = local.split_once(':')?;
        let (_, remote_port) = remote.split_once(':')?;
        // Addresses are hexadecimal 32-bit words in host byte order.
        let loopback = address.len() == 8 && (address.ends_with("7F") || address.starts_with("7F"))
            || address == "00000000000000000000000001000000"
            || address == "00000000000000000000000000000001";
        let port = u16::from_str_radix(port, 16).ok()?;
        (remote_port == "0000" && !loopback).then_some(port)
    })
}

/// Interval of the checks.
const PAUSE: Duration = Duration::from_secs(60);

/// Maximum number of ports logged in one check. A range in `knockPort` may contain many sockets.
const NAMED: usize = 4;

/// Checks for such programs, and logs each once.
#[derive(Debug, Default)]
pub(crate) struct PortHolders {
    due: BootInstant,
    /// By inode number.
    known: BTreeSet<u64>,
}

impl PortHolders {
    /// Requests a check at the next opportunity.
    pub(crate) fn look_soon(&mut self) {
        self.due = BootInstant::default();
    }

    /// Checks if it is due. Sockets of `own` are answers being sent.
    pub(crate) fn look(&mut self, settings: &Settings, own: Option<Uid>, now: BootInstant) {
        if now < self.due {
            return;
        }
        self.due = now.after(PAUSE);
        // sknockd's own socket is bound, so no other program can bind that port.
        if settings.knocks.intake == Intake::Socket {
            self.known.clear();
            return;
        }
        let ports = &settings.knocks.ports;
        let is_ours =
            |port| ports.iter().any(|range| (range.first()..=range.last()).contains(&port));
        match Bound::list(is_ours) {
            Ok(mut found) => {
                found.retain(|one| own.is_none_or(|own| own.as_raw() != one.uid));
                self.log_new(&found);
            }
            Err(error) => warn!(%error, "cannot determine whether other programs hold the knock \
                                         port"),
        }
    }

    fn log_new(&mut self, found: &[Bound]) {
        let new: Vec<&Bound> =
            found.iter().filter(|one| !self.known.contains(&one.inode)).collect();
        for Bound { local, uid, inode } in new.iter().take(NAMED) {
            let port = local.port();
            warn!(
                port, uid, inode, address = %local.ip(),
                "another program holds udp/{port}: answers from this port cannot be sent. `ss \
                 -aunpe sport = :{port}` shows the program"
            );
        }
        if let Some(more @ 1..) = new.len().checked_sub(NAMED) {
            warn!(more, "more sockets of other programs hold knock ports");
        }
        if found.is_empty() && !self.known.is_empty() {
            info!("no other program holds a knock port now");
        }
        self.known = found.iter().map(|one| one.inode).collect();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{examine, listed};
    use crate::config;
    use crate::config::finding::{Finding, Severity};

    fn findings_of(lines: &str, listening: &[u16]) -> Vec<Finding> {
        let none = std::iter::empty();
        let text = format!("[DEFAULT]\nserverPFXFile = x.pfx\nuser = nobody\n{lines}\n");
        let settings = config::parse(&text, Path::new("/x.ini"), none).unwrap();
        let mut findings = Vec::new();
        examine(&settings, &listening.iter().copied().collect(), &mut findings);
        findings
    }

    #[test]
    fn a_range_with_a_protected_port_in_it_is_a_warning_and_a_single_port_is_none() {
        let range = "knockPort = 10000-60000\nprotectedPorts = tcp/22, udp/51820";
        let [found] = &*findings_of(range, &[]) else { panic!() };
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.what.contains("contains protected ports (udp/51820):"), "{found:?}");
        for fine in [
            "knockPort = 62344\nprotectedPorts = udp/62344",
            "knockPort = 10000-60000\nprotectedPorts = tcp/51820, udp/53",
            "knockPort = 10000-60000",
        ] {
            assert_eq!(findings_of(fine, &[]), [], "{fine}");
        }
    }

    #[test]
    fn programs_that_listen_at_a_knock_port_are_reported() {
        let [single] = &*findings_of("knockPort = 62344", &[53, 62344]) else { panic!() };
        assert_eq!(single.severity, Severity::Warning);
        assert!(single.what.contains("listens at udp/62344:"), "{single:?}");
        let many = [53, 10_001, 10_002, 10_003, 10_004, 10_005, 10_006];
        let [range] = &*findings_of("knockPort = 10000-60000", &many) else { panic!() };
        assert_eq!(range.severity, Severity::Note);
        assert!(range.what.contains("udp/10001, udp/10002"), "{range:?}");
        assert!(range.what.contains("udp/10005 and 1 more:"), "{range:?}");
        // sknockd itself binds the socket.
        assert_eq!(findings_of("knockPort = 62344\nintake = socket", &[62344]), []);
    }

    #[test]
    fn sockets_for_everybody_are_listed_and_no_others() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
 1: 00000000:CA6C 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
 2: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
 3: 0201A8C0:9C40 0101A8C0:0035 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
 4: 00000000000000000000000000000000:0202 00000000000000000000000000000000:0000 07 0:0
 5: 00000000000000000000000001000000:0203 00000000000000000000000000000000:0000 07 0:0
 6: odd";
        assert_eq!(listed(table).collect::<Vec<_>>(), [51820, 514]);
        assert_eq!(listed("").count(), 0);
    }
}
