//! Rules on trial: an administrator who can still log in confirms them; otherwise the kernel returns by itself
//! to the rules from before, even if sknockd has died. Each step is one transaction; a step that fails changes
//! nothing.
//!
//! ```text
//! each base chain, for example input:
//!     meta nfproto @trial goto trial_input    the set's elements end by their timeout
//!     the rules from before                   or none, if nothing was protected
//! trial_input: the rules on trial
//! ```

use super::Gate;
use crate::ceiling::Ceiling;
use crate::outcome::Outcome;
use crate::table_spec::{Rollback, TableSpec};
use crate::uptime::BootInstant;

/// The rules in force are on trial.
#[derive(Clone, Debug)]
pub struct TrialState {
    pub(super) until: BootInstant,
    pub(super) previous: Option<(TableSpec, Ceiling)>,
}

impl TrialState {
    /// When it ends.
    pub fn until(&self) -> BootInstant {
        self.until
    }

    /// Whether the time for a confirmation is over.
    pub fn is_over(&self, now: BootInstant) -> bool {
        self.until <= now
    }

    /// Whether there is nothing to roll back to: the gate protected nothing before.
    pub fn is_first(&self) -> bool {
        self.previous.is_none()
    }

    pub(super) fn rollback(&self, now: BootInstant) -> Rollback<'_> {
        let before = self.previous.as_ref().map(|(rules, _)| rules);
        Rollback { previous: before, remaining: self.until.since(now) }
    }
}

impl Gate {
    /// The trial, if there is one; its time may be over.
    pub fn trial(&self) -> Option<&TrialState> {
        self.trial.as_ref()
    }

    /// Sets what an earlier run has left in force, for a trial to roll back to. Nothing changes in the kernel.
    pub fn set_previous(&mut self, rules: TableSpec, ceiling: Ceiling) {
        self.previous = Some((rules, ceiling));
    }

    /// Installs `rules` until `until`, and longer only if [`Gate::confirm`] is called: otherwise the kernel
    /// returns by itself to what was in force before, or to no protection if nothing is known to have been.
    /// A trial in a trial rolls back to what was before the first.
    pub fn apply_on_trial(
        &mut self,
        rules: TableSpec,
        ceiling: Ceiling,
        until: BootInstant,
        now: BootInstant,
    ) -> Outcome {
        let earlier = self.trial.take();
        let before = match &earlier {
            Some(earlier) => earlier.previous.clone(),
            None if self.installed => Some((self.rules.clone(), self.ceiling.clone())),
            None => self.previous.clone(),
        };
        self.trial = Some(TrialState { until, previous: before });
        let (rules, ceiling) = self.replace_config(rules, ceiling);
        let outcome = self.install(now);
        if matches!(outcome, Outcome::Failed(_)) {
            self.trial = earlier;
            self.replace_config(rules, ceiling);
        } else {
            self.rolled_back = false;
        }
        outcome
    }

    /// Makes the rules on trial permanent. Check first whether the trial's time is over.
    pub fn confirm(&mut self, now: BootInstant) -> Outcome {
        let trial = self.trial.take();
        // Must be first: as soon as the kernel has the confirmed table, a service manager may restart sknockd.
        self.save_all(now);
        let outcome = self.install(now);
        if matches!(outcome, Outcome::Failed(_)) {
            self.trial = trial;
            self.save_all(now);
        }
        outcome
    }

    /// Loads the whole table that was in force before the trial; grants that it does not permit are
    /// closed. If nothing was in force, call [`Gate::remove`] instead.
    pub fn roll_back(&mut self, now: BootInstant) -> Outcome {
        let Some((rules, ceiling)) = self.trial.as_ref().and_then(|trial| trial.previous.clone())
        else {
            // Without rules to return to, the table of the trial is loaded once more. It filters nothing once
            // its time is over.
            return self.reinstall(now);
        };
        let trial = self.trial.take();
        let (rules, ceiling) = self.replace_config(rules, ceiling);
        let outcome = self.install(now);
        if matches!(outcome, Outcome::Failed(_)) {
            self.trial = trial;
            self.replace_config(rules, ceiling);
        } else {
            self.rolled_back = true;
        }
        outcome
    }

    /// Replaces the configuration; returns the previous one.
    pub(super) fn replace_config(
        &mut self,
        rules: TableSpec,
        ceiling: Ceiling,
    ) -> (TableSpec, Ceiling) {
        let rules = std::mem::replace(&mut self.rules, rules);
        (rules, std::mem::replace(&mut self.ceiling, ceiling))
    }
}
