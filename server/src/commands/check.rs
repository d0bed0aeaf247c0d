//! `sknockd check`: everything that would go wrong, before it does.
//!
//! ```text
//! configuration -> Found::look (reads files) -> keys, revocation, host (pure) -> Report
//! ```
//!
//! A configuration with problems is no reason to stop: what could be understood is examined too,
//! so that one run of `check` tells everything.

mod begun_flows;
mod files;
mod foreign_firewalls;
mod host;
mod keys;
mod nft_listing;
mod probe;
mod report;
mod revocation;
mod sessions;
mod state_folder;
mod switches;
mod time_sync;
mod unit;
mod unit_user;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use sknock_protocol::Timestamp;

pub use files::{ConfiguredFiles, FileContent};
pub use foreign_firewalls::{Manner, NeighbourPorts};
pub use report::CheckReport;
pub use sessions::Session;
pub use state_folder::StateFolder;
pub use switches::Switches;
pub use unit::with_unit_credential;
pub use unit_user::{Obstacle, UnusablePath};

use self::report::UnknownKeys;
pub use crate::config::finding::{Finding, Severity};
use crate::config::{Problems, Settings};
use crate::crl::Attempt;
use crate::crl::mark_record::CrlMarks;

/// What is known about this host from elsewhere than files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Host {
    /// The administrator's own SSH connection, as `$SSH_CONNECTION` has it, here or above.
    pub login: Option<Session>,
    /// Who is connected.
    pub sessions: BTreeSet<Session>,
    /// Whether our table is there already.
    pub protecting: bool,
    /// TCP ports that knocks have opened, and to which of the connected clients.
    pub doors: Vec<(IpAddr, u16)>,
    /// Whether nobody keeps the clock right.
    pub unsynchronised: bool,
    /// How new each issuer's newest revocation list was that was ever in force.
    pub marks: CrlMarks,
    /// What a start would make of each `crlUrl`. Empty if there is none, or it was not tried.
    pub attempts: Vec<Attempt>,
    /// Chains of other nftables tables that drop what should reach us, and what that is.
    pub denied_elsewhere: Vec<String>,
    /// What others drop from everywhere, over whatever this host has.
    pub shut: Vec<String>,
    /// How ports beside the protected ones answer.
    pub beside: Vec<NeighbourPorts>,
    /// Chains of others that drop our answers, which conntrack does not know, and where from.
    pub answers_denied: Vec<String>,
    /// Chains of others that keep protected ports from conntrack, or may do so, and which.
    pub untracked: Vec<String>,
    /// Chains of others that pass on connections to addresses that are not this host's, where all
    /// traffic is denied.
    pub passed_on: Vec<String>,
    /// UDP ports that programs listen at.
    pub listening: BTreeSet<u16>,
    /// Spans of ports that the kernel chooses for sockets that name none.
    pub ephemeral: Vec<(u16, u16)>,
    /// Interfaces that send UDP from ports chosen by what they carry: name and kind.
    pub tunnels: Vec<(String, String)>,
    /// Switches of the kernel.
    pub switches: Switches,
    /// Where another firewall may be in the way, and the administrator should look for themselves.
    pub unclear: Vec<String>,
    /// What could not be looked at, and why.
    pub unlooked: Vec<String>,
    /// What could not be found out in time.
    pub unfinished: Vec<String>,
    /// Why the kernel cannot do what the gate needs.
    pub unsupported: Vec<String>,
    /// The user that the network process cannot become, as this user namespace has none of that number.
    pub unmapped: Option<String>,
    /// The key of the unit that is installed here by which systemd gives it a password that only systemd reads.
    pub sealed_password: Option<&'static str>,
    /// What the unit that is installed here cannot use.
    pub closed: Vec<UnusablePath>,
}

impl Host {
    /// Looks around on this host for what is in the way of these settings. Changes nothing. Needs root;
    /// without it, says what it has not seen.
    ///
    /// While it looks as the unit's user the whole process has that user's groups: no other thread may run.
    #[must_use]
    pub fn look(loaded: &Result<Settings, Problems>, config: &Path) -> Self {
        let mut host = Self::default();
        // First: `probe::look` may leave threads behind (`read_within`), and setgroups(2) changes the groups
        // of all threads (nptl(7)).
        unit_user::look(settled(loaded), config, &mut host);
        if let Some(settings) = settled(loaded) {
            probe::look(settings, &mut host);
        }
        host
    }

    /// Takes our own `$SSH_CONNECTION`: `client address, port, server address, port`. It comes before that
    /// of the processes above.
    #[must_use]
    pub fn with_ssh_connection(mut self, connection: Option<&str>) -> Self {
        if let Some(session) = connection.and_then(sessions::session) {
            self.login = Some(session);
            probe::look_for_grants(&[session], &mut self);
        }
        self
    }
}

/// Checks what [`Settings::load`] gave, and reads the files that it names.
pub fn check(loaded: &Result<Settings, Problems>, host: &Host, now: Timestamp) -> CheckReport {
    let problems = loaded.as_ref().err().into_iter().flatten();
    let mut findings: Vec<Finding> = problems
        .map(|problem| {
            Finding::error(format!("{}: {}", problem.place, problem.what), &problem.remedy)
        })
        .collect();
    let unknown = UnknownKeys::of(loaded);
    let mut facts = Vec::new();
    if let Some(settings) = settled(loaded) {
        let files = ConfiguredFiles::look(settings);
        let (lists, found) = examine(settings, &files, host, now);
        let found = found.into_iter().filter(|finding| !unknown.explains(finding));
        findings.extend(
            found.map(|finding| Finding { what: settings.located(finding.what), ..finding }),
        );
        facts = report::facts(settings, &unknown);
        facts.extend(lists);
    }
    unit_user::examine(host, &mut findings);
    CheckReport::new(facts, findings)
}

/// The settings, as far as they could be understood.
fn settled(loaded: &Result<Settings, Problems>) -> Option<&Settings> {
    match loaded {
        Ok(settings) => Some(settings),
        Err(problems) => problems.draft(),
    }
}

/// Judges what was found for these settings at this time: the revocation lists in words, and what is wrong.
/// Reads nothing.
fn examine(
    settings: &Settings,
    found: &ConfiguredFiles,
    host: &Host,
    now: Timestamp,
) -> (Vec<String>, Vec<Finding>) {
    let mut findings: Vec<Finding> = settings.notes.iter().map(Finding::from).collect();
    let keys = keys::examine(settings, (found, host), now, &mut findings);
    let lists = revocation::examine(settings, (found, host), keys.as_ref(), now, &mut findings);
    host::examine(settings, found, host, &mut findings);
    crate::supervisor::knock_ports::examine(settings, &host.listening, &mut findings);
    begun_flows::examine(settings, &host.ephemeral, &mut findings);
    findings.extend(begun_flows::tunnels(settings, &host.tunnels));
    host.switches.examine(&mut findings);
    (lists, findings)
}
