//! The edge: asks nft what other firewalls do, and the kernel whether it can do what the gate needs.
//! Has lists fetched by a process that can do no harm. Changes nothing here: the kernel is tried in an empty network namespace, which ends with its thread.

use std::io::Read;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::{fs, io, thread};

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use sknock_gate::{Firewall, FirewallError};
use sknock_netfilter::nflog::bind_group;
use sknock_protocol::Service;

use super::foreign_firewalls::MAX_RULESET;
use super::time_sync::is_synchronised;
use super::{Host, Switches, foreign_firewalls, sessions, switches};
use crate::config::{Intake, Settings};
use crate::supervisor::knock_ports::listening;
use crate::supervisor::{marks, spawn, table};
use crate::sys::local_ports;

/// nft is not in everybody's `PATH`.
const NFT: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// Looks around for what stands in the way of these settings.
pub(super) fn look(settings: &Settings, host: &mut Host) {
    let listing = listing();
    host.protecting = listing.as_ref().is_ok_and(|listing| has_table(listing));
    connected(host);
    host.doors.extend(listing.iter().flat_map(|listing| open_grants(listing)));
    match listing.and_then(|listing| foreign_firewalls::judge(&listing, settings)) {
        Ok(others) => {
            host.denied_elsewhere.extend(others.closed);
            host.shut.extend(shut(&others.shut, families()));
            host.unclear.extend(others.unclear);
            host.beside.extend(others.beside);
            host.answers_denied.extend(others.answers);
            host.untracked.extend(others.untracked);
            host.passed_on.extend(others.passed_on);
        }
        Err(error) => host.unlooked.push(format!("other firewalls: {error}")),
    }
    host.unclear.extend(old_tables());
    switches::look_up_mapping(&settings.process.user, host);
    host.listening = listening();
    host.ephemeral = local_ports::look();
    host.switches = Switches::read();
    host.marks = marks::kept(&settings.process.state);
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

fn listing() -> Result<Vec<u8>, String> {
    for program in NFT {
        let mut nft = Command::new(program);
        nft.args(["-j", "list", "ruleset"]).stdin(Stdio::null());
        match nft.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot run {program}: {error}")),
            Ok(mut child) => {
                let mut listed = Vec::new();
                let output = child.stdout.take().ok_or("nft printed nothing")?;
                let read = output.take(MAX_RULESET + 1).read_to_end(&mut listed);
                let ended = child.wait_with_output().map_err(|error| error.to_string())?;
                read.map_err(|error| error.to_string())?;
                if listed.len() as u64 > MAX_RULESET {
                    return Err("the ruleset is too large".to_owned());
                }
                if !ended.status.success() {
                    let said = String::from_utf8_lossy(&ended.stderr);
                    return Err(said.lines().next().unwrap_or("nft failed").to_owned());
                }
                return Ok(listed);
            }
        }
    }
    Err("nft, which lists them, is not installed".to_owned())
}

/// Rules that nft does not show: of the iptables that is older than nftables.
fn old_tables() -> Option<String> {
    let files = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
    let mut names: Vec<String> = Vec::new();
    for file in files {
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
        unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
        let raise = || {
            Firewall::open()?.install(&rules, &[], &[])?;
            group.map_or(Ok(()), |group| Ok(bind_group(group).map(drop)?))
        };
        Ok(raise())
    };
    let thread = thread::Builder::new().spawn(attempt)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the test failed")))
}

/// The sets of doors that stay open for a while. Those for a single connection are no way back in.
const SETS: [&str; 2] = ["grant4", "grant6"];

/// Whether our table is in the kernel at all.
fn has_table(json: &[u8]) -> bool {
    let listed: Value = serde_json::from_slice(json).unwrap_or_default();
    let mut objects = listed["nftables"].as_array().into_iter().flatten();
    objects.any(|object| {
        let table = &object["table"];
        table["family"] == "inet" && table["name"] == "sknock"
    })
}

/// The TCP ports that are open to somebody, and to whom.
fn open_grants(json: &[u8]) -> Vec<(IpAddr, u16)> {
    let listed: Value = serde_json::from_slice(json).unwrap_or_default();
    let objects = listed["nftables"].as_array().into_iter().flatten();
    let sets = objects.map(|object| &object["set"]).filter(|set| {
        (&set["family"], &set["table"]) == (&"inet".into(), &"sknock".into())
            && SETS.iter().any(|name| set["name"] == *name)
    });
    let elements = sets.filter_map(|set| set["elem"].as_array()).flatten();
    elements.filter_map(door).collect()
}

fn door(element: &Value) -> Option<(IpAddr, u16)> {
    // Bare, or with its timeout and comment around it.
    let value = element.get("elem").map_or(element, |element| &element["val"]);
    let [address, transport, port] = value["concat"].as_array()?.as_slice() else { return None };
    if transport != "tcp" && transport != 6 {
        return None;
    }
    Some((address.as_str()?.parse().ok()?, u16::try_from(port.as_u64()?).ok()?))
}
