//! Replaces the network process: on SIGHUP and `sknockd reload` with the current configuration, and with the
//! settings in force when a file for name resolution or TLS was replaced. Landlock grants files, not paths,
//! so the running process cannot read the new file.
//!
//! A process that has ended by itself is replaced after a wait.
//!
//! One reload is in progress at a time, and ends before the next one begins: otherwise requests
//! without end would kill each new network process before it is ready. Requests for the same trial time share one
//! reload.

use std::time::Duration;

use sknock_gate::BootInstant;
use tracing::{error, info};

use super::Supervisor;
use crate::config::Settings;
use crate::control::requester::Requester;
use crate::control::socket::Asker;
use crate::network::sandbox::PathMeanings;
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
        // Repeated reloads of an invalid file must not prevent the restart of a process that has ended.
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
        if let Err(problems) = self.reload(&request) {
            self.not_reloaded(&problems, now);
        }
    }

    /// Reads the configuration again, on trial for this time if that is requested. If it fails, the process that
    /// runs continues. The error says why the reload did not begin.
    fn reload(&mut self, request: &ReloadRequest) -> Result<(), Vec<String>> {
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
            Ok(settings) => self.spawner.start(&settings).map_err(StartFailed::reasons),
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
        info!(
            "a newer CRL arrived, or the clock was set, during the reload. Starting the new network \
             process again"
        );
        let reasons = match self.spawner.start(&next.settings) {
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
        self.next = self.spawner.start(&self.settings).ok();
    }
}

/// When to try again after a network process has ended by itself.
#[derive(Debug, Default)]
pub(super) struct RestartBackoff {
    failures: u32,
    pub(super) due: Option<BootInstant>,
}

impl RestartBackoff {
    /// Half a second, then twice as long each time, up to half a minute.
    pub(super) fn schedule(&mut self, now: BootInstant) {
        let wait = Duration::from_millis(500) * 2u32.pow(self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now.after(wait));
    }
}

/// A request to reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ReloadRequest {
    /// On trial for so long.
    pub(super) trial: Option<Duration>,
    /// Who requested it.
    pub(super) by: Requester,
    /// Where the answer goes; nothing: it was a signal.
    pub(super) asker: Option<Asker>,
}

/// All requests without a result. Bounded: each connection has one at most, and several signals are one.
#[derive(Debug, Default)]
pub(super) struct ReloadQueue {
    /// In the order of their arrival.
    waiting: Vec<ReloadRequest>,
    /// Those of the reload in progress.
    in_progress: Vec<ReloadRequest>,
    /// Whether the latest start was a reload that has failed.
    failed: bool,
}

impl ReloadQueue {
    /// Adds a request. A signal adds nothing to another one that waits.
    pub(super) fn push(&mut self, request: ReloadRequest) {
        let is_signal = |one: &ReloadRequest| one.asker.is_none();
        if !(is_signal(&request) && self.waiting.iter().any(is_signal)) {
            self.waiting.push(request);
        }
    }

    /// Whether any waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the next one and all others for the same. Root's requests and signals come before those of other users.
    pub(super) fn begin(&mut self) -> Option<ReloadRequest> {
        let is_first = |one: &&ReloadRequest| one.asker.is_none() || one.by.is_root();
        let first = *self.waiting.iter().find(is_first).or(self.waiting.first())?;
        let waiting = std::mem::take(&mut self.waiting);
        (self.in_progress, self.waiting) =
            waiting.into_iter().partition(|one| one.trial == first.trial);
        self.failed = false;
        Some(first)
    }

    /// The reload in progress has ended: its requests.
    pub(super) fn end(&mut self, has_failed: bool) -> Vec<ReloadRequest> {
        self.failed = has_failed && !self.in_progress.is_empty();
        std::mem::take(&mut self.in_progress)
    }

    /// Takes out all that wait.
    pub(super) fn refuse_waiting(&mut self) -> Vec<ReloadRequest> {
        std::mem::take(&mut self.waiting)
    }

    /// Whether the latest start was a reload that has failed. Then a network process with the settings in force comes
    /// first, if there is none.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// A network process with the settings in force was started.
    pub(super) fn restarted(&mut self) {
        self.failed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(uid: u32, trial: Option<u64>, is_signal: bool) -> ReloadRequest {
        let by = Requester { uid, pid: 5 };
        let asker = (!is_signal).then(|| Asker::numbered(uid.into(), by));
        ReloadRequest { trial: trial.map(Duration::from_secs), by, asker }
    }

    #[test]
    fn roots_request_is_next_however_many_others_wait() {
        let mut queue = ReloadQueue::default();
        assert_eq!(queue.begin(), None);
        let members: Vec<ReloadRequest> =
            (1..30).map(|uid| by(7000 + uid, Some(uid.into()), false)).collect();
        for one in &members {
            queue.push(*one);
        }
        let root = by(0, None, false);
        queue.push(root);
        assert_eq!(queue.begin(), Some(root));
        assert_eq!(queue.end(false), [root]);
        assert_eq!(queue.begin(), Some(members[0]), "then in the order of their arrival");
        assert_eq!((queue.end(true), queue.has_failed()), (vec![members[0]], true));
        assert_eq!((queue.begin(), queue.has_failed()), (Some(members[1]), false));
    }

    #[test]
    fn equal_reload_requests_are_merged_until_the_reload_begins() {
        let mut queue = ReloadQueue::default();
        let (plain, trial) = (by(7001, None, false), by(7002, Some(60), false));
        let signal = by(0, None, true);
        for one in [plain, trial, signal, signal, by(7003, None, false)] {
            queue.push(one);
        }
        assert_eq!(queue.begin(), Some(signal));
        queue.push(plain);
        assert_eq!(queue.end(false), [plain, signal, by(7003, None, false)]);
        assert_eq!(queue.begin(), Some(trial));
        assert_eq!(queue.end(false), [trial]);
        assert_eq!(queue.begin(), Some(plain));
        assert!(!queue.is_waiting());
    }
}
