//! Reloads that were requested. One is in progress at a time, and ends before the next one begins: otherwise requests
//! without end would kill each new network process before it is ready. Requests for the same are done by the same reload.

use std::time::Duration;

use crate::control::requester::Requester;
use crate::control::socket::Asker;

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
    fn requests_for_the_same_are_one_reload_and_those_that_come_later_another() {
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
