//! What is asked over the control socket, and the answers. Only what this process alone can do.

use sknock_gate::BootInstant;

use super::Supervisor;
use crate::control::grants::{Closed, ListedGrant, ListedKey, PAGE};
use crate::control::messages::{
    ConfigInForce, ControlRequest, ControlResponse, MAX_LENGTH, Mistake, span,
};
use crate::supervisor::table;

impl Supervisor {
    /// Listens to the control socket, and does at most one of the things that are asked there: knocks are
    /// served between two of them.
    pub(super) fn do_what_is_asked(&mut self, now: BootInstant) {
        let Some(mut control) = self.control.take() else { return };
        control.turn(self.spawner.started(), now);
        let next = control.next(now);
        self.control = Some(control);
        let Some((asker, request)) = next else { return };
        let answer = match request {
            ControlRequest::Confirm => Some(self.confirm(now)),
            ControlRequest::Reload { confirm_seconds } => self.begin_reload(confirm_seconds, now),
            ControlRequest::Grants { after } => Some(self.page(after.as_ref(), now)),
            ControlRequest::Close(_) if !self.protected => Some(ControlResponse::Closed(
                Closed::failed("the server has not loaded its rules yet. Try again"),
            )),
            ControlRequest::Close(which) => {
                Some(ControlResponse::Closed(self.gate_service.close(&which, now)))
            }
        };
        let Some(control) = &mut self.control else { return };
        match answer {
            Some(answer) => control.answer(asker, answer, now),
            None => control.defer(asker),
        }
    }

    /// No answer yet, if it has begun.
    fn begin_reload(
        &mut self,
        confirm_seconds: Option<u16>,
        now: BootInstant,
    ) -> Option<ControlResponse> {
        let trial = match confirm_seconds.map(|seconds| span(seconds.into())) {
            None => None,
            Some(Some(span)) => Some(span),
            Some(None) => {
                let why = format!("a trial must last 1 to {MAX_LENGTH} s");
                return Some(ControlResponse::Mistake(Mistake::Malformed { why }));
            }
        };
        self.reload(trial, now).err().map(|problems| ControlResponse::not_reloaded(&problems))
    }

    fn page(&self, after: Option<&ListedKey>, now: BootInstant) -> ControlResponse {
        let after = match after.map(ListedKey::grant_key) {
            None => None,
            Some(Some(key)) => Some(key),
            Some(None) => {
                let why = "`after` must contain a service such as tcp/22".to_owned();
                return ControlResponse::Mistake(Mistake::Malformed { why });
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
        let answer = match self.gate_service.gate.trial() {
            None => ControlResponse::Reloaded(in_force),
            Some(trial) => {
                let left = trial.until().since(now).as_millis().div_ceil(1000);
                let seconds_left = u64::try_from(left).unwrap_or(u64::MAX);
                ControlResponse::OnTrial { seconds_left, in_force }
            }
        };
        self.answer_all(&answer, now);
    }

    /// The reload failed: answers the requests that wait for it.
    pub(super) fn not_reloaded(&mut self, problems: &[String], now: BootInstant) {
        self.answer_all(&ControlResponse::not_reloaded(problems), now);
    }

    fn answer_all(&mut self, answer: &ControlResponse, now: BootInstant) {
        if let Some(control) = &mut self.control {
            control.answer_all(answer, now);
        }
    }

    /// Takes no more requests; those that have come get these answers.
    pub(super) fn end_control(
        &mut self,
        answer: impl Fn(&ControlRequest) -> ControlResponse,
        now: BootInstant,
    ) {
        if let Some(control) = self.control.take() {
            control.close(answer, now);
        }
    }
}
