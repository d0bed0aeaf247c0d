//! The supervisor's state of trials: the requested one, the configuration for a rollback, the begin of a
//! trial, and how long CRL marks last that were reported in one.

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

/// A trial that has not begun yet: it begins when the table is loaded, after the server is ready.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TrialDeadline {
    /// For this time from then on.
    After(Duration),
    /// An earlier run has begun it: until this time.
    At(BootInstant),
}

/// The supervisor's state of trials. The gate knows whether one runs.
#[derive(Debug)]
pub(crate) struct TrialWatch {
    /// The request for the starting network process.
    pub(super) asked: Option<TrialDeadline>,
    /// Who requested that one; nothing: the start of the server.
    asked_by: Option<Requester>,
    /// Who began the latest trial; nothing: the start of the server.
    pub(super) begun_by: Option<Requester>,
    /// How many later reloads are part of the latest trial.
    pub(super) joined: u32,
    /// What ran before what is on trial; nothing at a first start.
    pub(super) before: Option<Settings>,
    /// The settings in force from an earlier run, until rules are loaded.
    earlier: Option<Settings>,
    /// Whether the latest trial has ended unconfirmed, and no reload has begun since.
    pub(super) unconfirmed: bool,
    /// When to repeat a failed rollback.
    pub(super) retry_at: Option<BootInstant>,
    /// The last reported seconds.
    pub(super) last_status: u128,
    pub(super) saved_configs: SavedConfigs,
    /// How often the log reports confirmations of nothing.
    pub(super) unneeded_confirms: RateLimit,
}

impl TrialWatch {
    /// With or without a trial for the first network process.
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
            unneeded_confirms: RateLimit::default(),
        }
    }

    /// A reload has begun: on trial for so long, or without one.
    pub(super) fn ask(&mut self, trial: Option<Duration>, by: Requester) {
        self.asked = trial.map(TrialDeadline::After);
        self.asked_by = trial.map(|_| by);
        self.unconfirmed = false;
    }

    /// Nothing is in force, so no rollback is possible.
    pub(super) fn forget(&self) {
        self.saved_configs.forget();
    }

    /// Loads the rules of `new`, on trial if that was requested. A running trial continues with its own
    /// deadline. `running` are the settings of the loaded rules, if any.
    pub(super) fn load_rules(
        &mut self,
        gate_service: &mut GateService,
        new: &Settings,
        running: Option<&Settings>,
        now: BootInstant,
    ) -> Response {
        let tried_already = gate_service.gate.trial().is_some();
        let Some(asked) = self.asked else {
            let answer = gate_service.load_rules(new, running.is_some(), now);
            if answer == Response::Activated && !tried_already {
                // Not for a restart with the same settings: after an unconfirmed trial the file still has
                // those of the trial, and a start must not use it before a reload has read it.
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
        // In a running trial the target of the rollback stays: `running` itself is not confirmed.
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

/// How long the CRL high-water marks of a network process last.
impl TrialWatch {
    /// For a serving process with `settings`; `running` are the settings of the loaded rules.
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
            // It was on trial until now, and another process is starting.
            MarkLifetime::Process
        }
    }

    /// For a starting process with `settings`.
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

/// For marks of a process on trial. They could only block a rollback to a configuration without these CRLs;
/// at a first start there is none.
fn lifetime(settings: &Settings, before: Option<&Settings>) -> MarkLifetime {
    let counts = before.is_none_or(|before| settings.revocation.come_by(&before.revocation));
    if counts { MarkLifetime::ForGood } else { MarkLifetime::Trial }
}
