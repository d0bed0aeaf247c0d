//! Rules on trial: begun, confirmed, given up. Each is one transaction, and what fails changes nothing.

use super::Gate;
use crate::{Ceiling, Happened, Rules, Trial, Uptime};

impl Gate {
    /// What is on trial, if anything is; perhaps its time is over.
    pub fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
    }

    /// Says what an earlier run has left in force, for a trial to go back to. Nothing changes.
    pub fn inherit(&mut self, rules: Rules, ceiling: Ceiling) {
        self.inherited = Some((rules, ceiling));
    }

    /// Puts up `rules` until `until`, and no longer than that unless [`Gate::confirm`] is called: the
    /// kernel then goes back by itself, to what was in force before, or to no protection if nothing
    /// was known to be. A trial in a trial goes back to what was before the first.
    pub fn try_out(
        &mut self,
        rules: Rules,
        ceiling: Ceiling,
        until: Uptime,
        now: Uptime,
    ) -> Happened {
        let earlier = self.trial.take();
        let before = match &earlier {
            Some(earlier) => earlier.before.clone(),
            None if self.raised => Some((self.rules.clone(), self.ceiling.clone())),
            None => self.inherited.clone(),
        };
        self.trial = Some(Trial { until, before });
        let (rules, ceiling) = self.put_on(rules, ceiling);
        let happened = self.raise(now);
        if matches!(happened, Happened::Failed(_)) {
            self.trial = earlier;
            self.put_on(rules, ceiling);
        } else {
            self.rolled_back = false;
        }
        happened
    }

    /// What is on trial stays from here on. Ask before whether its time is over.
    pub fn confirm(&mut self, now: Uptime) -> Happened {
        let trial = self.trial.take();
        // First: whoever sees in the kernel that it is confirmed may kill us, and start us again.
        self.write_whole(now);
        let happened = self.raise(now);
        if matches!(happened, Happened::Failed(_)) {
            self.trial = trial;
            self.write_whole(now);
        }
        happened
    }

    /// Puts the whole table back that was in force before the trial; grants that it does not permit
    /// are closed. Nothing was? Then [`Gate::lower`] is what is wanted.
    pub fn go_back(&mut self, now: Uptime) -> Happened {
        let Some((rules, ceiling)) = self.trial.as_ref().and_then(|trial| trial.before.clone())
        else {
            return self.reassert(now);
        };
        let trial = self.trial.take();
        let (rules, ceiling) = self.put_on(rules, ceiling);
        let happened = self.raise(now);
        if matches!(happened, Happened::Failed(_)) {
            self.trial = trial;
            self.put_on(rules, ceiling);
        } else {
            self.rolled_back = true;
        }
        happened
    }

    /// The configuration from here on; the one until now.
    pub(super) fn put_on(&mut self, rules: Rules, ceiling: Ceiling) -> (Rules, Ceiling) {
        let rules = std::mem::replace(&mut self.rules, rules);
        (rules, std::mem::replace(&mut self.ceiling, ceiling))
    }
}
