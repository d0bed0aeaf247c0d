//! What the supervisor knows of trials: which one was requested, which configuration a rollback returns to, how a trial
//! begins, and how long marks of CRLs last that were reported in one.

use std::time::Duration;

use sknock_gate::{BootInstant, Response};
use tracing::error;

use super::gate_service::GateService;
use crate::config::Settings;
use crate::control::requester::Requester;
use crate::supervisor::marks::MarkLifetime;
use crate::supervisor::saved_config::SavedConfigs;
use crate::supervisor::table;
use crate::sys::log::RateLimit;

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
    /// Who requested that one; nothing: the start of the server.
    asked_by: Option<Requester>,
    /// Who began the latest trial; nothing: the start of the server.
    pub(super) begun_by: Option<Requester>,
    /// How many later reloads are part of the latest trial.
    pub(super) joined: u32,
    /// What ran before what is on trial; nothing at a first start.
    pub(super) before: Option<Settings>,
    /// What an earlier run has left in force, until something is put up.
    earlier: Option<Settings>,
    /// Whether the latest trial has ended unconfirmed, and no reload has begun since.
    pub(super) unconfirmed: bool,
    /// When to try again to go back.
    pub(super) retry_at: Option<BootInstant>,
    /// The seconds that were told last.
    pub(super) last_status: u128,
    pub(super) saved_configs: SavedConfigs,
    /// How often the log reports confirmations of nothing.
    pub(super) in_vain: RateLimit,
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
            asked_by: None,
            begun_by: None,
            joined: 0,
            before: None,
            earlier,
            unconfirmed: false,
            retry_at: None,
            last_status: 0,
            saved_configs,
            in_vain: RateLimit::default(),
        }
    }

    /// A reload has begun: on trial for so long, or without one.
    pub(super) fn ask(&mut self, trial: Option<Duration>, by: Requester) {
        self.asked = trial.map(TrialDeadline::After);
        self.asked_by = trial.map(|_| by);
        self.unconfirmed = false;
    }

    /// Nothing is in force, and there is nothing to go back to.
    pub(super) fn forget(&self) {
        self.saved_configs.forget();
    }

    /// Loads the rules of `new`, on trial if that was requested. A trial that runs continues with its own deadline.
    /// `running` are the settings of the rules that are loaded now, if any.
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
            (self.begun_by, self.joined) = (self.asked_by.take(), 0);
            self.before = kept.cloned().or(self.before.take());
            self.earlier = None;
        }
        answer
    }
}

/// How long the CRL high-water marks last that a network process reports.
impl TrialWatch {
    /// For a process with `settings` that processes knocks; `running` are the settings of the rules that are loaded.
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

    /// For a process with `settings` that is starting.
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
