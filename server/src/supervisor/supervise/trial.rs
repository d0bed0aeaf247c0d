//! Rules on trial: when a trial begins, what it goes back to, and how it ends. The kernel ends it
//! without us (`gate/src/gate/trial.rs`); what is left to do is that everything else follows.

use std::process::ExitCode;
use std::time::Duration;

use sknock_gate::{BootInstant, Response};
use tracing::{error, info, warn};

use super::gate_service::GateService;
use super::{Supervisor, TICK};
use crate::config::Settings;
use crate::control::messages::{ControlRequest, ControlResponse};
use crate::supervisor::marks::MarkLifetime;
use crate::supervisor::saved_config::SavedConfigs;
use crate::supervisor::table;
use crate::sys::exit::UNCONFIRMED;

/// A trial that has not begun yet: it does with the table, not before the server is ready.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TrialDeadline {
    /// For so long from then on.
    After(Duration),
    /// An earlier run has begun it: not longer than that.
    At(BootInstant),
}

/// What the supervisor knows of trials. Whether there is one, the gate knows.
#[derive(Debug)]
pub(crate) struct TrialWatch {
    /// For the network process that is on its way.
    pub(super) asked: Option<TrialDeadline>,
    /// What ran before what is on trial; nothing at a first start.
    before: Option<Settings>,
    /// What an earlier run has left in force, until something is put up.
    earlier: Option<Settings>,
    /// Whether the latest trial has ended unconfirmed, and no reload has begun since.
    unconfirmed: bool,
    /// When to try again to go back.
    retry_at: Option<BootInstant>,
    /// The seconds that were told last.
    last_status: u128,
    saved_configs: SavedConfigs,
}

impl TrialWatch {
    /// With a trial for the first network process, or without.
    pub(crate) fn new(
        asked: Option<TrialDeadline>,
        earlier: Option<Settings>,
        saved_configs: SavedConfigs,
    ) -> Self {
        Self {
            asked,
            before: None,
            earlier,
            unconfirmed: false,
            retry_at: None,
            last_status: 0,
            saved_configs,
        }
    }

    /// A reload has begun: on trial for so long, or as the one before it.
    pub(super) fn ask(&mut self, trial: Option<Duration>) {
        self.asked = trial.map(TrialDeadline::After).or(self.asked);
        self.unconfirmed = false;
    }

    /// Nothing is in force, and there is nothing to go back to.
    pub(super) fn forget(&self) {
        self.saved_configs.forget();
    }

    /// Puts up the protection that `new` asks for, on trial if that was asked. A trial that runs goes
    /// on, and only its time counts. `running` is what the protection is for until now, if it is up.
    pub(super) fn raise(
        &mut self,
        gate_service: &mut GateService,
        new: &Settings,
        running: Option<&Settings>,
        now: BootInstant,
    ) -> Response {
        let tried_already = gate_service.gate.trial().is_some();
        let Some(asked) = self.asked else {
            let answer = gate_service.raise(new, running.is_some(), now);
            if answer == Response::Activated && !tried_already {
                if running.is_some_and(|running| running != new) {
                    self.saved_configs.rollback.forget();
                }
                self.saved_configs.save_confirmed(new);
            }
            return answer;
        };
        let until = match asked {
            TrialDeadline::After(span) => now.after(span),
            TrialDeadline::At(until) => until,
        };
        let kept = running.or(self.earlier.as_ref()).filter(|_| !tried_already);
        if let Some(Err(error)) = kept.map(|settings| self.saved_configs.rollback.save(settings)) {
            error!(
                "cannot save the configuration for a rollback: {error}. The trial does not \
                    start"
            );
            return Response::Failed;
        }
        let outcome = gate_service.gate.apply_on_trial(
            table::table_spec(new),
            table::ceiling(new),
            until,
            now,
        );
        gate_service.log_outcome(&outcome, now);
        let answer = outcome.response();
        if answer == Response::Activated {
            self.asked = None;
            self.before = kept.cloned().or(self.before.take());
            self.earlier = None;
        }
        answer
    }
}

/// How long marks count of the lists that a network process takes.
impl TrialWatch {
    /// One with `settings` that judges knocks; `running` is what the protection is for.
    pub(super) fn lifetime_in(
        &self,
        gate_service: &GateService,
        settings: &Settings,
        running: &Settings,
    ) -> MarkLifetime {
        if gate_service.gate.trial().is_some() {
            lifetime(settings, self.before.as_ref())
        } else if settings.revocation.come_by(&running.revocation) {
            MarkLifetime::ForGood
        } else {
            // It was on trial until now, and another one is on its way.
            MarkLifetime::Process
        }
    }

    /// One with `settings` that is on its way.
    pub(super) fn lifetime_before(
        &self,
        gate_service: &GateService,
        settings: &Settings,
        running: Option<&Settings>,
    ) -> MarkLifetime {
        if gate_service.gate.trial().is_some() {
            lifetime(settings, self.before.as_ref())
        } else if self.asked.is_some() {
            lifetime(settings, running.or(self.earlier.as_ref()))
        } else {
            MarkLifetime::ForGood
        }
    }
}

/// Of what a process on trial takes. Only a configuration that would not have those lists could be kept from
/// coming back by their marks; at a first start there is none.
fn lifetime(settings: &Settings, before: Option<&Settings>) -> MarkLifetime {
    let counts = before.is_none_or(|before| settings.revocation.come_by(&before.revocation));
    if counts { MarkLifetime::ForGood } else { MarkLifetime::Trial }
}

/// What the end of a trial means for what was asked at that moment.
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
    /// When a trial wants us back at the latest.
    pub(super) fn trial_due(&self) -> Option<BootInstant> {
        let inherited = match self.trial.asked {
            Some(TrialDeadline::At(until)) => Some(until),
            _ => None,
        };
        let running = self.gate_service.gate.trial().map(sknock_gate::TrialState::until);
        let due = inherited.into_iter().chain(running).min();
        due.max(due.and(self.trial.retry_at))
    }

    /// What was to come on trial does not.
    pub(super) fn no_trial(&mut self) {
        self.trial.asked = None;
        if self.gate_service.gate.trial().is_none() {
            self.spawner.marks.roll_back();
        }
    }

    /// What the service manager shows.
    pub(super) fn status(&self, now: BootInstant) -> String {
        match self.gate_service.gate.trial() {
            None => "protecting: rules loaded, knocks are processed".to_owned(),
            Some(trial) => {
                let left = seconds_left(trial, now);
                format!("on trial, {left} s left to confirm (sknockd confirm)")
            }
        }
    }

    /// Counts down, for who looks.
    pub(super) fn report_trial(&mut self, now: BootInstant) {
        let Some(trial) = self.gate_service.gate.trial() else { return };
        let left = seconds_left(trial, now);
        if self.trial.last_status != left {
            self.trial.last_status = left;
            self.notify.status(&self.status(now));
        }
    }

    /// What is on trial stays, if the answer is [`ControlResponse::Confirmed`]. Too late is too late: the kernel has
    /// gone back already.
    pub(super) fn confirm(&mut self, now: BootInstant) -> ControlResponse {
        match self.gate_service.gate.trial() {
            None if self.trial.unconfirmed => return ControlResponse::TooLate,
            None => {
                warn!("no trial is active: nothing to confirm");
                return ControlResponse::NothingOnTrial;
            }
            Some(trial) if trial.is_over(now) => return ControlResponse::TooLate,
            Some(_) => {}
        }
        // First: whoever sees in the kernel that it is confirmed may kill us, and start us again.
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
        info!(status = %table::summary(&self.settings), "confirmed; the new rules stay");
        self.notify.status(&self.status(now));
        self.restore_at = None;
        ControlResponse::Confirmed
    }

    /// Goes back if nobody has confirmed in time; after a first start, that is the end.
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

    /// As a reload to the settings from before, but for the table, which comes first.
    fn roll_back(&mut self, before: Settings, now: BootInstant) {
        let outcome = self.gate_service.gate.roll_back(now);
        self.gate_service.log_outcome(&outcome, now);
        if outcome.response() != Response::Activated {
            // The kernel goes by the rules from before already.
            self.trial.retry_at = Some(now.after(TICK));
            return;
        }
        self.restore_at = None;
        error!(
            config = %self.config.display(),
            "not confirmed in time: rolled back to the previous configuration. Correct the file; \
             it still has the settings of the trial"
        );
        (self.trial.before, self.trial.asked, self.trial.retry_at) = (None, None, None);
        self.trial.unconfirmed = true;
        self.not_reloaded(&["an earlier trial was not confirmed in time".to_owned()], now);
        self.settings = before;
        self.spawner.marks.roll_back();
        if let Some(mut superseded) = self.next.take() {
            superseded.kill();
        }
        match self.spawner.start(&self.settings, now) {
            Ok(network) => self.next = Some(network),
            Err(_) => self.again.schedule(now),
        }
        self.notify.ready("not confirmed in time: rolled back to the previous configuration");
    }

    /// An order to stop is no confirmation. What to do about the table; whether it was about a trial.
    pub(super) fn stop_trial(&mut self, now: BootInstant) -> Option<ExitCode> {
        let trial = self.gate_service.gate.trial().map(sknock_gate::TrialState::is_first);
        self.trial.saved_configs.rollback.forget();
        if trial? {
            warn!("stopped before the trial was confirmed: rules removed");
            return Some(self.remove_table());
        }
        warn!("stopped before the trial was confirmed: rolled back to the previous rules");
        let outcome = self.gate_service.gate.roll_back(now);
        self.gate_service.log_outcome(&outcome, now);
        if let Some(before) = self.trial.before.take() {
            self.settings = before;
        }
        None
    }
}
