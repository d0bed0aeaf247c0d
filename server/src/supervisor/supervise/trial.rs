//! Rules on trial: confirmation and rollback. The kernel itself returns to the previous rules at the deadline
//! (`gate/src/gate/trial.rs`); here the rest follows.

use std::process::ExitCode;

use sknock_gate::{BootInstant, Response};
use tracing::{error, info, warn};

use super::trial_watch::TrialDeadline;
use super::{Supervisor, TICK};
use crate::config::Settings;
use crate::control::messages::{ControlRequest, ControlResponse};
use crate::control::requester::Requester;
use crate::supervisor::table;
use crate::sys::exit::UNCONFIRMED;

/// The response to a request that arrives at the end of a trial.
fn too_late(request: &ControlRequest) -> ControlResponse {
    match request {
        ControlRequest::Confirm => ControlResponse::TooLate,
        _ => ControlResponse::Stopping,
    }
}

/// Rounded up.
fn seconds_left(trial: &sknock_gate::TrialState, now: BootInstant) -> u128 {
    trial.until().since(now).as_millis().div_ceil(1000)
}

impl Supervisor {
    /// The next time at which a trial needs attention.
    pub(super) fn trial_due(&self) -> Option<BootInstant> {
        let inherited = match self.trial.asked {
            Some(TrialDeadline::At(until)) => Some(until),
            _ => None,
        };
        let running = self.gate_service.gate.trial().map(sknock_gate::TrialState::until);
        let due = inherited.into_iter().chain(running).min();
        // After a failed rollback not before `retry_at`. Without a trial nothing is due, whatever `retry_at`
        // is.
        due.max(due.and(self.trial.retry_at))
    }

    /// The requested trial does not take place.
    pub(super) fn no_trial(&mut self) {
        self.trial.asked = None;
        if self.gate_service.gate.trial().is_none() {
            self.spawner.marks.roll_back();
        }
    }

    /// The status line for systemd.
    pub(super) fn status(&self, now: BootInstant) -> String {
        match self.gate_service.gate.trial() {
            None => "protecting: rules loaded, knocks are processed".to_owned(),
            Some(trial) => {
                let left = seconds_left(trial, now);
                format!("on trial, {left} s left to confirm (sknockd confirm)")
            }
        }
    }

    /// Shows the remaining seconds in systemd's status.
    pub(super) fn report_trial(&mut self, now: BootInstant) {
        let Some(trial) = self.gate_service.gate.trial() else { return };
        let left = seconds_left(trial, now);
        if self.trial.last_status != left {
            self.trial.last_status = left;
            self.notify.status(&self.status(now));
        }
    }

    /// Makes the rules on trial permanent; it has done so only if the answer is [`ControlResponse::Confirmed`]. After
    /// the deadline the kernel already uses the previous rules.
    pub(super) fn confirm(&mut self, by: Requester, now: BootInstant) -> ControlResponse {
        match self.gate_service.gate.trial() {
            None if self.trial.unconfirmed => return ControlResponse::TooLate,
            None => {
                if let Some(suppressed) =
                    self.trial.unneeded_confirms.permit(now.since(BootInstant::default()).as_secs())
                {
                    warn!(
                        uid = by.uid,
                        pid = by.pid,
                        user = by.user(),
                        suppressed,
                        "no trial is active: nothing to confirm"
                    );
                }
                return ControlResponse::NothingOnTrial;
            }
            Some(trial) if trial.is_over(now) => return ControlResponse::TooLate,
            Some(_) => {}
        }
        // Must be first: as soon as the kernel has the confirmed table, a service manager may restart this process.
        self.trial.saved_configs.rollback.forget();
        let outcome = self.gate_service.gate.confirm(now);
        self.gate_service.log_outcome(&outcome, now);
        if outcome.response() != Response::Activated {
            error!("the confirmation failed. The trial continues; run `sknockd confirm` again");
            let before = self.trial.before.as_ref();
            if let Some(Err(error)) =
                before.map(|settings| self.trial.saved_configs.rollback.save(settings))
            {
                error!(
                    "cannot save the configuration for a rollback: {error}. Do not restart \
                        sknockd now"
                );
            }
            return ControlResponse::NotConfirmed { why: outcome.to_string() };
        }
        self.trial.before = None;
        self.trial.saved_configs.save_confirmed(&self.settings);
        self.spawner.marks.confirm();
        self.spawner.marks.save(now);
        info!(
            status = %table::summary(&self.settings),
            uid = by.uid,
            pid = by.pid,
            user = by.user(),
            "confirmed; the new rules stay"
        );
        self.notify.status(&self.status(now));
        self.restore_at = None;
        ControlResponse::Confirmed
    }

    /// Rolls back if the trial was not confirmed in time; after a first start, the server exits.
    pub(super) fn end_trial(&mut self, now: BootInstant) -> Option<ExitCode> {
        if self.trial_due().is_none_or(|due| now < due) {
            return None;
        }
        match self.trial.before.clone() {
            None => Some(self.abort_first_start(now)),
            Some(before) => {
                self.roll_back(before, now);
                None
            }
        }
    }

    fn abort_first_start(&mut self, now: BootInstant) -> ExitCode {
        error!(
            "not confirmed in time: rules removed, sknockd exits. If a new connection worked: \
             start sknockd again and run `sknockd confirm`. If not: see the lines above or \
             `sknockd check`"
        );
        self.notify.stopping();
        self.end_control(too_late, now);
        if let Err(error) = self.gate_service.gate.remove() {
            error!("cannot remove the table: {error}. The kernel no longer applies its rules");
        }
        self.trial.forget();
        self.finish();
        ExitCode::from(UNCONFIRMED)
    }

    /// Like a reload with the previous settings, except that the table comes first.
    fn roll_back(&mut self, before: Settings, now: BootInstant) {
        let outcome = self.gate_service.gate.roll_back(now);
        self.gate_service.log_outcome(&outcome, now);
        if outcome.response() != Response::Activated {
            // The kernel already uses the previous rules.
            self.trial.retry_at = Some(now.after(TICK));
            return;
        }
        self.restore_at = None;
        let by = self.trial.begun_by;
        error!(
            config = %self.config.display(),
            uid = by.map(|by| by.uid),
            pid = by.map(|by| by.pid),
            user = by.and_then(Requester::user),
            reloads_undone = self.trial.joined,
            "not confirmed in time: rolled back to the previous configuration. Correct the file; \
             it still has the settings of the trial"
        );
        (self.trial.before, self.trial.asked, self.trial.retry_at) = (None, None, None);
        self.trial.unconfirmed = true;
        self.refuse_reloads(&["an earlier trial was not confirmed in time".to_owned()], now);
        self.settings = before;
        self.spawner.marks.roll_back();
        if let Some(mut superseded) = self.next.take() {
            superseded.kill();
        }
        match self.spawner.start(&self.settings) {
            Ok(network) => self.next = Some(network),
            Err(_) => self.again.schedule(now),
        }
        self.notify.ready("not confirmed in time: rolled back to the previous configuration");
    }
}
