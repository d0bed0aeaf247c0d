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

use std::time::Duration;

use crate::ceiling::Ceiling;
use crate::table_spec::TableSpec;
use crate::uptime::BootInstant;

/// The rules in force are on trial.
#[derive(Clone, Debug)]
pub struct TrialState {
    pub(crate) until: BootInstant,
    pub(crate) previous: Option<(TableSpec, Ceiling)>,
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

    pub(crate) fn rollback(&self, now: BootInstant) -> Rollback<'_> {
        let before = self.previous.as_ref().map(|(rules, _)| rules);
        Rollback { previous: before, remaining: self.until.since(now) }
    }
}

/// What the kernel is to go back to, and when.
#[derive(Clone, Copy, Debug)]
pub struct Rollback<'a> {
    /// The rules from before; nothing: no packet is judged.
    pub previous: Option<&'a TableSpec>,
    /// How long from now. Zero: at once.
    pub remaining: Duration,
}
