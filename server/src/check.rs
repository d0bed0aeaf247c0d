//! `sknockd check`: everything that would go wrong, before it does.
//!
//! ```text
//! configuration -> Found::look (reads files) -> keys, revocation, host (pure) -> Report
//! ```
//!
//! A configuration with problems is no reason to stop: what could be understood is examined too,
//! so that one run of `check` tells everything.

mod doors;
mod facts;
mod found;
mod host;
mod keys;
pub(crate) mod knock_ports;
pub(crate) mod listening;
mod others;
mod reached;
mod reader;
mod report;
mod revocation;
mod surroundings;
mod switches;
mod synchronised;

use std::collections::BTreeSet;
use std::net::IpAddr;

use sknock_protocol::Moment;

pub use found::{Content, Folder, Found};
pub use reader::Reader;
pub use report::{Finding, Report, Severity};
pub use switches::Switches;

use crate::config::{Problems, Settings};
use crate::marks::Marks;

/// What is known about this host from elsewhere than files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Host {
    /// The port that the administrator's own SSH connection came in on: the last number of
    /// `$SSH_CONNECTION`.
    pub ssh_port: Option<u16>,
    /// Where that connection comes from: the first word.
    pub ssh_from: Option<IpAddr>,
    /// TCP ports that knocks have opened, and to whom.
    pub doors: Vec<(IpAddr, u16)>,
    /// Whether nobody keeps the clock right.
    pub unsynchronised: bool,
    /// How new each issuer's newest revocation list was that was ever in force.
    pub marks: Marks,
    /// Each `crlUrl` that cannot be reached, and why.
    pub unreachable: Vec<String>,
    /// Chains of other nftables tables that drop what should reach us, and what that is.
    pub denied_elsewhere: Vec<String>,
    /// Chains of others that drop our answers, which conntrack does not know, and where from.
    pub answers_denied: Vec<String>,
    /// Chains of others that keep protected ports from conntrack, or may do so, and which.
    pub untracked: Vec<String>,
    /// Chains of others that pass on connections to addresses that are not this host's, where all
    /// traffic is denied.
    pub passed_on: Vec<String>,
    /// UDP ports that programs listen at.
    pub listening: BTreeSet<u16>,
    /// Switches of the kernel.
    pub switches: Switches,
    /// Where another firewall may be in the way, and the administrator should look for themselves.
    pub unclear: Vec<String>,
    /// What could not be looked at, and why.
    pub unlooked: Vec<String>,
    /// Why the kernel cannot do what the gate needs.
    pub unsupported: Vec<String>,
    /// Whom the unit that is installed here runs sknockd as, unless that is root.
    pub reader: Option<Reader>,
}

impl Host {
    /// Looks around on this host for what is in the way of these settings. Changes nothing. Needs root;
    /// without it, says what it has not seen.
    #[must_use]
    pub fn look(loaded: &Result<Settings, Problems>) -> Self {
        let mut host = Self::default();
        if let Some(settings) = settled(loaded) {
            surroundings::look(settings, &mut host);
        }
        host
    }

    /// Takes the port from `$SSH_CONNECTION`: `client address, port, server address, port`.
    #[must_use]
    pub fn with_ssh_connection(mut self, connection: Option<&str>) -> Self {
        let word = |number| connection.and_then(|text| text.split_whitespace().nth(number));
        self.ssh_port = word(3).and_then(|port| port.parse().ok());
        self.ssh_from = word(0).and_then(|address| address.parse().ok());
        self
    }
}

/// Checks what [`Settings::load`] gave, and reads the files that it names.
pub fn check(loaded: &Result<Settings, Problems>, host: &Host, now: Moment) -> Report {
    let problems = loaded.as_ref().err().into_iter().flatten();
    let mut findings: Vec<Finding> = problems
        .map(|problem| {
            Finding::error(format!("{}: {}", problem.place, problem.what), &problem.remedy)
        })
        .collect();
    if let Some(settings) = settled(loaded) {
        let found = examine(settings, &Found::look(settings), host, now);
        findings.extend(found.into_iter().map(|finding| finding.located(settings)));
    }
    Report::new(settled(loaded).map(facts::gather).unwrap_or_default(), findings)
}

/// The settings, as far as they could be understood.
fn settled(loaded: &Result<Settings, Problems>) -> Option<&Settings> {
    match loaded {
        Ok(settings) => Some(settings),
        Err(problems) => problems.draft(),
    }
}

/// Judges what was found for these settings at this time. Reads nothing.
pub fn examine(settings: &Settings, found: &Found, host: &Host, now: Moment) -> Vec<Finding> {
    let mut findings: Vec<Finding> = settings.notes.iter().map(Finding::from).collect();
    let anchors = keys::examine(settings, found, now, &mut findings);
    revocation::examine(settings, (found, host), anchors.as_ref(), now, &mut findings);
    host::examine(settings, found, host, &mut findings);
    knock_ports::examine(settings, &host.listening, &mut findings);
    host.switches.examine(&mut findings);
    reader::examine(settings, found, host, &mut findings);
    findings
}
