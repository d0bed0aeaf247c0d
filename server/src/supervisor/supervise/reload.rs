//! Replaces the network process: on SIGHUP and `sknockd reload` with the current configuration, and with the
//! settings in force when a file for name resolution or TLS was replaced. Landlock grants files, not paths,
//! so the running process cannot read the new file.

use std::time::Duration;

use sknock_gate::BootInstant;
use tracing::{error, info};

use super::Supervisor;
use super::reload_queue::ReloadRequest;
use crate::config::Settings;
use crate::network::readable::PathMeanings;
use crate::supervisor::spawner::StartFailed;

/// The observed targets of the paths.
#[derive(Debug, Default)]
pub(super) struct ResolvedNames {
    /// The time of the next check.
    due: BootInstant,
    /// The targets at the last check, if they differ from those that the current process was granted.
    seen: Option<PathMeanings>,
    /// Consecutive checks with another result each.
    unsettled: u32,
    /// Consecutive failed starts.
    failures: u32,
}

/// Interval of the checks.
const EVERY: Duration = Duration::from_millis(700);

/// After this number of different results, another process is started anyway: files that change constantly
/// must not hide one that was replaced.
const UNSETTLED: u32 = 10;

/// The pause after a start, so that constant changes do not block other work. Doubled while the new process
/// does not become ready.
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

    /// Orders a prepared process to begin when the state directory is free and its CRLs are the newest: the
    /// process before it may have received newer ones.
    pub(super) fn advance_reload(&mut self, now: BootInstant) {
        let Some(next) = self.next.as_mut().filter(|next| next.is_prepared()) else { return };
        match &mut self.current {
            // Only once: a process that reports CRLs endlessly must not stay in force by that.
            Some(current) if !next.is_outdated() || self.renewed => current.finish(now),
            None if !next.is_outdated() => next.begin(),
            _ => self.renew(now),
        }
    }

    /// Restarts the starting process, with the newest marks and newly opened files.
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

    /// Starts another process if a path has another target than for the current one.
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
        // Two equal results: an update of several files gets the time to finish.
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
        // Errors are logged, and the current process stays.
        self.next = self.spawner.start(&self.settings, now).ok();
    }
}
