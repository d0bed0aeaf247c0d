//! `sknockd close` of many grants: some in each round of the loop, so that knocks are served in between.

use std::collections::VecDeque;

use sknock_gate::{BootInstant, MatchingGrants};

use super::Supervisor;
use crate::control::grants::{Closed, GrantFilter};
use crate::control::messages::ControlResponse;
use crate::control::socket::Asker;

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

/// Those without an answer, in the order of their arrival: one for each connection at most.
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
