//! The edge: asks nft what other firewalls do, and the kernel whether it can do what the gate needs.
//! Changes nothing here: the kernel is tried in an empty network namespace, which ends with its thread.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::{fs, thread};

use nix::sched::{CloneFlags, unshare};
use sknock_gate::{Error, Firewall, listen};

use super::others::{self, MOST_OF_A_RULESET};
use super::synchronised::is_synchronised;
use super::{Host, Reader, Switches, doors, listening, reached};
use crate::config::{Intake, Settings};
use crate::parent::{marks, plan};

/// nft is not in everybody's `PATH`.
const NFT: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// Looks around for what stands in the way of these settings.
pub(super) fn look(settings: &Settings, host: &mut Host) {
    let listing = listing();
    host.doors.extend(listing.iter().flat_map(|listing| doors::open(listing)));
    match listing.and_then(|listing| others::judge(&listing, settings)) {
        Ok(others) => {
            host.denied_elsewhere.extend(others.closed);
            host.unclear.extend(others.unclear);
            host.answers_denied.extend(others.answers);
            host.untracked.extend(others.untracked);
            host.passed_on.extend(others.passed_on);
        }
        Err(error) => host.unlooked.push(format!("other firewalls: {error}")),
    }
    host.unclear.extend(old_tables());
    host.listening = listening::at();
    host.switches = Switches::read();
    host.reader = Reader::of_the_unit();
    host.marks = marks::kept(&settings.process.state);
    host.unsynchronised = !is_synchronised();
    host.unreachable.extend(reached::unreachable(&settings.revocation.urls));
    match try_kernel(settings) {
        Ok(Ok(()) | Err(Error::Rules(_))) => {} // the configuration's problem, already told
        Ok(Err(error)) => host.unsupported.push(error.to_string()),
        Err(error) => host.unlooked.push(format!("whether the kernel can do all: {error}")),
    }
}

fn listing() -> Result<Vec<u8>, String> {
    for program in NFT {
        let mut nft = Command::new(program);
        nft.args(["-j", "list", "ruleset"]).stdin(Stdio::null());
        match nft.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{program} does not run: {error}")),
            Ok(mut child) => {
                let mut listed = Vec::new();
                let output = child.stdout.take().ok_or("nft has no output")?;
                let read = output.take(MOST_OF_A_RULESET + 1).read_to_end(&mut listed);
                let ended = child.wait_with_output().map_err(|error| error.to_string())?;
                read.map_err(|error| error.to_string())?;
                if listed.len() as u64 > MOST_OF_A_RULESET {
                    return Err("the ruleset is too large to be looked at".to_owned());
                }
                if !ended.status.success() {
                    let said = String::from_utf8_lossy(&ended.stderr);
                    return Err(said.lines().next().unwrap_or("nft failed").to_owned());
                }
                return Ok(listed);
            }
        }
    }
    Err("there is no nft, which lists them".to_owned())
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
        format!("iptables-legacy has tables ({}), which were not looked at", names.join(", "))
    })
}

/// Builds the very table where nobody is. The outer error: there is no such place.
fn try_kernel(settings: &Settings) -> io::Result<Result<(), Error>> {
    let rules = plan::rules(settings);
    let group = (settings.knocks.intake == Intake::Nflog).then_some(settings.knocks.group);
    let attempt = move || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
        let raise = || {
            Firewall::open()?.raise(&rules, &[], &[])?;
            group.map_or(Ok(()), |group| listen(group).map(drop))
        };
        Ok(raise())
    };
    let thread = thread::Builder::new().spawn(attempt)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the attempt failed")))
}
