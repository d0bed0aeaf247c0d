//! When one network process follows another: on SIGHUP and `sknockd reload` with the configuration as it is now, and
//! with the settings in force when a file was replaced that name resolution or TLS reads. Landlock grants files, not
//! names, so the running process cannot read the new file.

use std::time::Duration;

use sknock_gate::BootInstant;
use tracing::{error, info};

use super::Supervisor;
use super::reload_queue::ReloadRequest;
use crate::config::Settings;
use crate::network::readable::PathMeanings;
use crate::supervisor::spawner::StartFailed;

/// What was seen of the names.
#[derive(Debug, Default)]
pub(super) struct ResolvedNames {
    /// When to look next.
    due: BootInstant,
    /// What differs from what the current process was granted, at the last look.
    seen: Option<PathMeanings>,
    /// How many looks in a row have each seen something else.
    unsettled: u32,
    /// How often another process was started in vain, one after the other.
    failures: u32,
}

/// Between two looks.
const EVERY: Duration = Duration::from_millis(700);

/// After so many looks that differ, another process is started all the same: files that change all the
/// time must not hide one that was replaced for good.
const UNSETTLED: u32 = 10;

/// After a start, so that names that change all the time keep us from nothing else. Twice as long each
/// time while the new process does not get ready.
const AFTER: Duration = Duration::from_secs(5);

impl ResolvedNames {
    /// A new process has taken over.
    pub(super) fn settle(&mut self) {
        self.failures = 0;
    }
}

impl Supervisor {
    /// Whether a reload waits, and may begin: the rules are loaded, and no other start is in progress.
    pub(super) fn is_reload_due(&self) -> bool {
        // Who reloads a wrong file again and again must not keep us from replacing a process that has ended.
        let restart_first =
            self.current.is_none() && self.reloads.has_failed() && self.again.due.is_some();
        self.protected && self.next.is_none() && self.reloads.is_waiting() && !restart_first
    }

    /// Begins the next reload, if none is in progress.
    pub(super) fn begin_reload(&mut self, now: BootInstant) {
        if !self.is_reload_due() {
            return;
        }
        let Some(request) = self.reloads.begin() else { return };
        if let Err(problems) = self.reload(&request, now) {
            self.not_reloaded(&problems, now);
        }
    }

    /// Reads the configuration again, on trial for this time if that is requested. If it fails, the process that
    /// runs continues. The error says why the reload did not begin.
    fn reload(&mut self, request: &ReloadRequest, now: BootInstant) -> Result<(), Vec<String>> {
        self.notify.reloading();
        let ReloadRequest { trial, by, .. } = *request;
        info!(
            config = %self.config.display(),
            uid = by.uid,
            pid = by.pid,
            user = by.user(),
            "reloading"
        );
        self.renewed = false;
        let started = match Settings::load(&self.config, std::env::vars_os()) {
            Ok(settings) => self.spawner.start(&settings, now).map_err(StartFailed::reasons),
            Err(problems) => {
                error!("{problems}");
                Err(problems.iter().map(ToString::to_string).collect())
            }
        };
        match started {
            Ok(network) => {
                // Only now: without a current process it is the only one that will listen.
                self.next = Some(network);
                self.trial.ask(trial, by);
                Ok(())
            }
            Err(reasons) => {
                self.spawner.settle(&self.settings);
                error!("reload failed. The previous configuration stays in force");
                self.notify.ready("reload failed. The previous configuration stays in force");
                Err(reasons)
            }
        }
    }

    /// A prepared process begins as soon as the state directory is free, and if it knows of the newest
    /// revocation lists: the one before it may have received a newer one since.
    pub(super) fn advance_reload(&mut self, now: BootInstant) {
        let Some(next) = self.next.as_mut().filter(|next| next.is_prepared()) else { return };
        match &mut self.current {
            // Only once: a process that receives lists without end must not stay in force by that.
            Some(current) if !next.is_outdated() || self.renewed => current.finish(now),
            None if !next.is_outdated() => next.begin(),
            _ => self.renew(now),
        }
    }

    /// Starts the process on its way once more, with the newest marks, and files that are opened now.
    fn renew(&mut self, now: BootInstant) {
        let Some(mut next) = self.next.take() else { return };
        next.kill();
        self.renewed = true;
        info!("a newer CRL arrived during the reload. Starting the new network process again");
        let reasons = match self.spawner.start(&next.settings, now) {
            Ok(network) => {
                self.next = Some(network);
                return;
            }
            Err(failed) => failed.reasons(),
        };
        self.not_reloaded(&reasons, now);
        self.no_trial();
        self.spawner.settle(&self.settings);
        error!("cannot start the new network process. The previous configuration stays in force");
        self.notify.ready("reload failed. The previous configuration stays in force");
        if self.current.is_none() {
            self.again.schedule(now);
        }
    }

    /// Starts another process if a name means another file than for the current one.
    pub(super) fn follow_names(&mut self, now: BootInstant) {
        if self.next.is_some() || now < self.names.due {
            return;
        }
        let Some(current) = self.current.as_ref().filter(|current| !current.is_finishing()) else {
            return;
        };
        self.names.due = now.after(EVERY);
        let means = PathMeanings::look(current.settings.read_once());
        if means == current.granted {
            self.names.seen = None;
            self.names.unsettled = 0;
            return;
        }
        // Twice the same: an update of several files gets the time to finish.
        if self.names.seen.as_ref() != Some(&means) && self.names.unsettled < UNSETTLED {
            self.names.seen = Some(means);
            self.names.unsettled += 1;
            return;
        }
        self.names.unsettled = 0;
        self.names.due = now.after(AFTER * 2u32.pow(self.names.failures.min(6)));
        self.names.failures = self.names.failures.saturating_add(1);
        info!(
            "files for name resolution or TLS changed. Starting a new network process, which \
             reads them"
        );
        self.renewed = false;
        // What is wrong was told, and the current process stays.
        self.next = self.spawner.start(&self.settings, now).ok();
    }
}
