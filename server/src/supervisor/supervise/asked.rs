//! Requests over the control socket, and the answers: only those that need this process. `sknockd close` of many
//! grants closes some in each round of the loop, so that knocks are served in between.

use std::collections::VecDeque;

use sknock_gate::{BootInstant, MatchingGrants};
use tracing::{info, warn};

use super::Supervisor;
use super::reload::ReloadRequest;
use crate::control::grants::{Closed, GrantFilter, ListedGrant, ListedKey, PAGE};
use crate::control::messages::{
    ConfigInForce, ControlRequest, ControlResponse, MAX_LENGTH, Mistake, span,
};
use crate::control::requester::Requester;
use crate::control::socket::Asker;
use crate::supervisor::table;

impl Supervisor {
    /// Reads the control socket, and carries out at most one request: knocks are served between two requests.
    pub(super) fn serve_control_requests(&mut self, now: BootInstant) {
        let Some(mut control) = self.control.take() else { return };
        control.turn(self.spawner.started(), now);
        let next = control.next(now);
        self.control = Some(control);
        let Some((asker, request)) = next else { return };
        let answer = self.answer(&asker, request, now);
        let Some(control) = &mut self.control else { return };
        match answer {
            Some(answer) => control.answer(asker, answer, now),
            None => control.defer(asker),
        }
    }

    /// Carries out a request. `None`: the answer follows later.
    fn answer(
        &mut self,
        asker: &Asker,
        request: ControlRequest,
        now: BootInstant,
    ) -> Option<ControlResponse> {
        self.log_request(asker.by, &request, now);
        // Before, there is nothing to list or to close, no trial to confirm, and no process to replace.
        if !self.protected {
            return Some(ControlResponse::Mistake(Mistake::NotReady));
        }
        match request {
            ControlRequest::Confirm => Some(self.confirm(asker.by, now)),
            ControlRequest::Reload { confirm_seconds } => {
                let trial = match confirm_seconds.map(|seconds| span(seconds.into())) {
                    Some(None) => {
                        return Some(malformed(format!("a trial must last 1 to {MAX_LENGTH} s")));
                    }
                    trial => trial.flatten(),
                };
                self.reloads.push(ReloadRequest { trial, by: asker.by, asker: Some(*asker) });
                None
            }
            ControlRequest::Grants { after } => Some(self.page(after.as_ref(), now)),
            ControlRequest::Close(which) => {
                if let Some(why) = which.problem() {
                    return Some(malformed(why.to_owned()));
                }
                let report = Closed::default();
                self.closings.push_back(Closing { which, asker: *asker, rest: None, report });
                None
            }
        }
    }

    /// A peer may send thousands in a second.
    fn log_request(&mut self, by: Requester, request: &ControlRequest, now: BootInstant) {
        let request = match request {
            ControlRequest::Confirm => "confirm",
            ControlRequest::Reload { .. } => "reload",
            ControlRequest::Close(_) => "close",
            ControlRequest::Grants { .. } => return,
        };
        let [root, others] = &mut self.requests;
        let limit = if by.is_root() { root } else { others };
        let second = now.since(BootInstant::default()).as_secs();
        if let Some(suppressed) = limit.permit(second) {
            info!(uid = by.uid, pid = by.pid, user = by.user(), suppressed, "control: {request}");
        }
    }

    fn page(&self, after: Option<&ListedKey>, now: BootInstant) -> ControlResponse {
        let key = |key: &ListedKey| Some((key.grant_key()?, key.cert()?));
        let after = match after.map(key) {
            None => None,
            Some(Some(key)) => Some(key),
            Some(None) => {
                return malformed(
                    "`after` must contain a service such as tcp/22, an issuer and a serial number"
                        .to_owned(),
                );
            }
        };
        let open = self.gate_service.gate.live().page(after.as_ref(), PAGE + 1, now);
        let more = open.len() > PAGE;
        ControlResponse::Grants {
            open: open.iter().take(PAGE).map(ListedGrant::from).collect(),
            more,
        }
    }

    /// The new configuration is in force: answers the requests that wait for that.
    pub(super) fn reloaded(&mut self, now: BootInstant) {
        let in_force = ConfigInForce {
            process: std::process::id(),
            file: self.config.display().to_string(),
            protection: table::summary(&self.settings),
        };
        let trial = self.gate_service.gate.trial().map(|trial| {
            let left = trial.until().since(now).as_millis().div_ceil(1000);
            u64::try_from(left).unwrap_or(u64::MAX)
        });
        let begun_by = self.trial.begun_by;
        for request in self.reloads.end(false) {
            let in_force = in_force.clone();
            let joined = request.trial.is_none();
            let answer = match trial {
                None => ControlResponse::Reloaded(in_force),
                Some(seconds_left) => {
                    ControlResponse::OnTrial { seconds_left, begun_by, joined, in_force }
                }
            };
            self.answer_to(&request, answer, now);
            if trial.is_some() && joined {
                self.joined_trial();
            }
        }
    }

    /// Logs it, too: a signal has no answer.
    fn joined_trial(&mut self) {
        self.trial.joined += 1;
        let by = self.trial.begun_by;
        warn!(
            uid = by.map(|by| by.uid),
            pid = by.map(|by| by.pid),
            user = by.and_then(Requester::user),
            "the reloaded rules are part of a trial that this user began, and end with it. `sknockd confirm` \
             keeps them"
        );
    }

    /// The reload in progress has failed: answers its requests.
    pub(super) fn not_reloaded(&mut self, problems: &[String], now: BootInstant) {
        for request in self.reloads.end(true) {
            self.answer_to(&request, ControlResponse::not_reloaded(problems), now);
        }
    }

    /// The configuration before a trial is in force again. Refuses the reloads that were requested before: the file
    /// still has the configuration of the trial.
    pub(super) fn refuse_reloads(&mut self, problems: &[String], now: BootInstant) {
        self.not_reloaded(problems, now);
        for request in self.reloads.refuse_waiting() {
            self.answer_to(&request, ControlResponse::not_reloaded(problems), now);
        }
    }

    fn answer_to(&mut self, request: &ReloadRequest, answer: ControlResponse, now: BootInstant) {
        if let (Some(control), Some(asker)) = (&mut self.control, request.asker) {
            control.answer(asker, answer, now);
        }
    }

    /// Takes no more requests; those that have come get these answers.
    pub(super) fn end_control(
        &mut self,
        answer: impl Fn(&ControlRequest) -> ControlResponse,
        now: BootInstant,
    ) {
        self.finish_closings(now);
        // Their connections get `Stopping` from `close`.
        drop(self.reloads.refuse_waiting());
        if let Some(control) = self.control.take() {
            control.close(answer, now);
        }
    }
}

fn malformed(why: String) -> ControlResponse {
    ControlResponse::Mistake(Mistake::Malformed { why })
}

/// A request to close grants, from its beginning to its answer.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) which: GrantFilter,
    pub(super) asker: Asker,
    /// What is left of the grants that matched when it began; nothing: it has not begun.
    pub(super) rest: Option<MatchingGrants>,
    /// What was closed.
    pub(super) report: Closed,
}

/// Requests to close grants without an answer, in order of arrival: at most one for each connection.
pub(super) type Closings = VecDeque<Closing>;

impl Supervisor {
    /// Closes the next grants of the first request, and answers it after the last.
    pub(super) fn advance_closing(&mut self, now: BootInstant) {
        let Some(mut closing) = self.closings.pop_front() else { return };
        match self.gate_service.close_next(&mut closing, now) {
            None => self.closings.push_front(closing),
            Some(answer) => self.answer_closing(closing.asker, answer, now),
        }
    }

    /// Before the server stops, each request is done.
    pub(super) fn finish_closings(&mut self, now: BootInstant) {
        while !self.closings.is_empty() {
            self.advance_closing(now);
        }
    }

    fn answer_closing(&mut self, asker: Asker, answer: ControlResponse, now: BootInstant) {
        if let Some(control) = &mut self.control {
            control.answer(asker, answer, now);
        }
    }
}
