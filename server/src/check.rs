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
mod looks;
mod mapped;
mod others;
mod reader;
mod report;
mod revocation;
mod sessions;
mod surroundings;
mod switches;
mod synchronised;
mod unit;
mod unknown;
mod ways_in;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use sknock_protocol::Moment;

pub use found::{Content, Folder, Found};
pub use others::{Beside, Manner};
pub use reader::{Closed, Obstacle};
pub use report::{Finding, Report, Severity};
pub use sessions::Session;
pub use switches::Switches;

use self::unknown::Unknown;
use crate::config::{Problems, Settings};
use crate::marks::Marks;
use crate::refresh::Attempt;

/// What is known about this host from elsewhere than files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Host {
    /// The administrator's own SSH connection, as `$SSH_CONNECTION` has it, here or above.
    pub login: Option<Session>,
    /// Who is connected.
    pub sessions: BTreeSet<Session>,
    /// Whether our table is there already.
    pub protecting: bool,
    /// TCP ports that knocks have opened, and to whom.
    pub doors: Vec<(IpAddr, u16)>,
    /// Whether nobody keeps the clock right.
    pub unsynchronised: bool,
    /// How new each issuer's newest revocation list was that was ever in force.
    pub marks: Marks,
    /// What a start would make of each `crlUrl`. Empty if there is none, or it was not tried.
    pub attempts: Vec<Attempt>,
    /// Chains of other nftables tables that drop what should reach us, and what that is.
    pub denied_elsewhere: Vec<String>,
    /// What others drop from everywhere, over whatever this host has.
    pub shut: Vec<String>,
    /// How ports beside the protected ones answer.
    pub beside: Vec<Beside>,
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
    /// The user that the network process cannot become, as this user namespace has none of that number.
    pub unmapped: Option<String>,
    /// What the unit that is installed here cannot use.
    pub closed: Vec<Closed>,
}

impl Host {
    /// Looks around on this host for what is in the way of these settings. Changes nothing. Needs root;
    /// without it, says what it has not seen.
    ///
    /// While it looks as the unit's user the whole process has that user's groups: no other thread may run.
    #[must_use]
    pub fn look(loaded: &Result<Settings, Problems>, config: &Path) -> Self {
        let mut host = Self::default();
        reader::look(settled(loaded), config, &mut host);
        if let Some(settings) = settled(loaded) {
            surroundings::look(settings, &mut host);
        }
        host
    }

    /// Takes our own `$SSH_CONNECTION`: `client address, port, server address, port`. It comes before that
    /// of the processes above.
    #[must_use]
    pub fn with_ssh_connection(mut self, connection: Option<&str>) -> Self {
        self.login = connection.and_then(sessions::session).or(self.login);
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
    let unknown = Unknown::of(loaded);
    let mut facts = Vec::new();
    if let Some(settings) = settled(loaded) {
        let found = examine(settings, &Found::look(settings), host, now);
        let found = found.into_iter().filter(|finding| !unknown.explains(finding));
        findings.extend(found.map(|finding| finding.located(settings)));
        facts = facts::gather(settings, &unknown);
    }
    reader::examine(host, &mut findings);
    Report::new(facts, findings)
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
    let keys = keys::examine(settings, found, now, &mut findings);
    revocation::examine(settings, (found, host), keys.as_ref(), now, &mut findings);
    host::examine(settings, found, host, &mut findings);
    knock_ports::examine(settings, &host.listening, &mut findings);
    host.switches.examine(&mut findings);
    findings
}
