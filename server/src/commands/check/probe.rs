//! The edge: asks nft what other firewalls do, and the kernel whether it can do what the gate needs.
//! Has lists fetched by a process that can do no harm. Changes nothing here: the kernel is tried in an empty network namespace, which ends with its thread.

use std::{fs, io, thread};

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, unshare};
use sknock_gate::{Firewall, FirewallError, FlowKey, TableContent, Transport};
use sknock_netfilter::host::interface_kinds;
use sknock_netfilter::nflog::bind_group;
use sknock_protocol::Service;

use super::nft_listing::{self, ListingError};
use super::time_sync::is_synchronised;
use super::{Host, Session, Switches, foreign_firewalls, sessions, switches};
use crate::config::{Intake, Settings};
use crate::supervisor::knock_ports::listening;
use crate::supervisor::{Account, marks, spawn, table};
use crate::sys::local_ports;

/// Looks around for what stands in the way of these settings.
pub(super) fn look(settings: &Settings, host: &mut Host) {
    connected(host);
    match own_table() {
        Ok(protecting) => host.protecting = protecting,
        Err(error) => host.unlooked.push(format!("the table of sknock: {error}")),
    }
    let sessions: Vec<Session> = host.sessions.iter().copied().collect();
    look_for_grants(&sessions, host);
    other_firewalls(settings, host);
    host.unclear.extend(old_tables());
    switches::look_up_mapping(&settings.process.user, host);
    host.listening = listening();
    host.ephemeral = local_ports::look();
    match interface_kinds() {
        Ok(all) => host.tunnels.extend(all.into_iter().filter(|(_, kind)| hashes_ports(kind))),
        Err(error) => host.unlooked.push(format!("tunnels over UDP: {error}")),
    }
    host.switches = Switches::read();
    let user = Account::uid_of(&settings.process.user);
    host.marks = marks::kept(&settings.process.state, user);
    host.unsynchronised = !is_synchronised();
    if !settings.revocation.urls.is_empty() {
        match spawn::fetch(settings, &host.marks) {
            Ok(attempts) => host.attempts = attempts,
            Err(why) => host.unlooked.push(format!("fetching from crlUrl: {why}")),
        }
    }
    match try_kernel(settings) {
        Ok(Ok(()) | Err(FirewallError::Rules(_))) => {} // the configuration's problem, already told
        Ok(Err(error)) => host.unsupported.push(error.to_string()),
        Err(error) => host.unlooked.push(format!("support by the kernel: {error}")),
    }
}

/// Whether such an interface sends UDP from a port that is a hash of what it carries. FOU and GUE have none.
fn hashes_ports(kind: &str) -> bool {
    ["vxlan", "geneve", "bareudp"].contains(&kind)
}

/// Asks the kernel whether our table is there.
fn own_table() -> Result<bool, FirewallError> {
    Firewall::open()?.exists()
}

/// Notes which of these connected clients have a grant.
pub(super) fn look_for_grants(sessions: &[Session], host: &mut Host) {
    if !host.protecting {
        return;
    }
    let mut look = || {
        let mut firewall = Firewall::open()?;
        for &Session { port, from } in sessions {
            if firewall.is_open(&FlowKey { address: from, transport: Transport::Tcp, port })? {
                host.doors.push((from, port));
            }
        }
        Ok::<_, FirewallError>(())
    };
    if let Err(error) = look() {
        host.unlooked.push(format!("grants of connected clients: {error}"));
    }
}

fn other_firewalls(settings: &Settings, host: &mut Host) {
    let judged = nft_listing::list().and_then(|listing| {
        let unfinished = listing.unfinished.into_iter();
        host.unfinished.extend(unfinished.map(|set| format!("the elements of {set}")));
        foreign_firewalls::judge(&listing.ruleset, settings).map_err(ListingError::Failed)
    });
    match judged {
        Ok(others) => {
            host.denied_elsewhere.extend(others.closed);
            host.shut.extend(shut(&others.shut, families()));
            host.unclear.extend(others.unclear);
            host.beside.extend(others.beside);
            host.answers_denied.extend(others.answers);
            host.untracked.extend(others.untracked);
            host.passed_on.extend(others.passed_on);
        }
        Err(ListingError::Unfinished) => {
            host.unfinished.push("the rules of other firewalls".into());
        }
        Err(ListingError::Failed(error)) => host.unlooked.push(format!("other firewalls: {error}")),
    }
}

/// What does not come in by any family of addresses that this host has.
fn shut(closed: &[(Service, [bool; 2])], has: [bool; 2]) -> Vec<String> {
    let by_none = |families: [bool; 2]| (0..2).all(|family| families[family] || !has[family]);
    let shut = closed.iter().filter(|(_, families)| by_none(*families));
    shut.map(|(service, _)| service.to_string()).collect()
}

/// Whether this host has addresses of IPv4, and of IPv6, that others could reach it at. Where that cannot
/// be told, or it has none yet: both.
fn families() -> [bool; 2] {
    let addresses = getifaddrs().into_iter().flatten().filter_map(|one| one.address);
    let mut has = [false; 2];
    for address in addresses {
        has[0] |= address.as_sockaddr_in().is_some_and(|v4| !v4.ip().is_loopback());
        has[1] |= address.as_sockaddr_in6().is_some_and(|v6| {
            let ip = v6.ip();
            // The kernel gives each interface a link-local address, also where nobody uses IPv6 (RFC 4862,
            // 5.3).
            !ip.is_loopback() && !ip.is_unicast_link_local()
        });
    }
    if has == [false; 2] { [true; 2] } else { has }
}

/// Who is connected, and which of them has started us.
fn connected(host: &mut Host) {
    match sessions::established() {
        Ok(sessions) => {
            let login = sessions::login(&sessions);
            host.login = login.as_deref().and_then(sessions::session);
            host.sessions = sessions;
        }
        Err(error) => {
            host.unlooked.push(format!("connections to ports that will need a grant: {error}"));
        }
    }
}

/// Rules that nft does not show: of the iptables that is older than nftables.
fn old_tables() -> Option<String> {
    let files = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
    let mut names: Vec<String> = Vec::new();
    for file in files {
        // Without the kernel's module ip_tables there is no such file, and there are no such rules.
        let listed = fs::read_to_string(file).unwrap_or_default();
        names.extend(listed.lines().map(str::to_owned));
    }
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| {
        format!("iptables-legacy has tables ({}), which were not tested", names.join(", "))
    })
}

/// Builds the very table where nobody is. The outer error: there is no such place.
fn try_kernel(settings: &Settings) -> io::Result<Result<(), FirewallError>> {
    let rules = table::table_spec(settings);
    let group = (settings.knocks.intake == Intake::Nflog).then_some(settings.knocks.group);
    let attempt = move || {
        // Moves the calling thread only (unshare(2)): the process stays in its namespace.
        unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
        let raise = || {
            Firewall::open()?.install(&rules, TableContent::default())?;
            group.map_or(Ok(()), |group| Ok(bind_group(group).map(drop)?))
        };
        Ok(raise())
    };
    let thread = thread::Builder::new().spawn(attempt)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the test failed")))
}
