//! Rules on trial: who can still get in confirms them; otherwise the kernel is back at what was before,
//! by itself. Pure: until when, and what was before.
//!
//! ```text
//! each base chain, for example input:
//!     meta nfproto @trial goto trial_input    the set's elements end by their timeout
//!     the lines from before                   or none, if nothing was protected
//! trial_input: the lines on trial
//! ```
//! Nobody has to be alive for that.

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

    /// Whether there is nothing to go back to: the gate protected nothing before.
    pub fn is_first(&self) -> bool {
        self.previous.is_none()
    }

    pub(super) fn rollback(&self, now: BootInstant) -> Rollback<'_> {
        let before = self.previous.as_ref().map(|(rules, _)| rules);
        Rollback { previous: before, remaining: self.until.since(now) }
    }
}

impl Gate {
    /// What is on trial, if anything is; perhaps its time is over.
    pub fn trial(&self) -> Option<&TrialState> {
        self.trial.as_ref()
    }

    /// Says what an earlier run has left in force, for a trial to go back to. Nothing changes.
    pub fn set_previous(&mut self, rules: TableSpec, ceiling: Ceiling) {
        self.previous = Some((rules, ceiling));
    }

    /// Puts up `table_spec` until `until`, and no longer than that unless [`Gate::confirm`] is called: the
    /// kernel then goes back by itself, to what was in force before, or to no protection if nothing
    /// was known to be. A trial in a trial goes back to what was before the first.
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

    /// What is on trial stays from here on. Ask before whether its time is over.
    pub fn confirm(&mut self, now: BootInstant) -> Outcome {
        let trial = self.trial.take();
        // First: whoever sees in the kernel that it is confirmed may kill us, and start us again.
        self.save_all(now);
        let outcome = self.install(now);
        if matches!(outcome, Outcome::Failed(_)) {
            self.trial = trial;
            self.save_all(now);
        }
        outcome
    }

    /// Puts the whole table back that was in force before the trial; grants that it does not permit
    /// are closed. Nothing was? Then [`Gate::remove`] is what is wanted.
    pub fn roll_back(&mut self, now: BootInstant) -> Outcome {
        let Some((rules, ceiling)) = self.trial.as_ref().and_then(|trial| trial.previous.clone())
        else {
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

    /// The configuration from here on; the one until now.
    pub(super) fn replace_config(
        &mut self,
        rules: TableSpec,
        ceiling: Ceiling,
    ) -> (TableSpec, Ceiling) {
        let rules = std::mem::replace(&mut self.rules, rules);
        (rules, std::mem::replace(&mut self.ceiling, ceiling))
    }
}
