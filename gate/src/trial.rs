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

use crate::{Ceiling, Rules, Uptime};

/// The rules in force are on trial.
#[derive(Clone, Debug)]
pub struct Trial {
    pub(crate) until: Uptime,
    pub(crate) before: Option<(Rules, Ceiling)>,
}

impl Trial {
    /// When it ends.
    pub fn until(&self) -> Uptime {
        self.until
    }

    /// Whether the time for a confirmation is over.
    pub fn is_over(&self, now: Uptime) -> bool {
        self.until <= now
    }

    /// Whether there is nothing to go back to: the gate protected nothing before.
    pub fn is_first(&self) -> bool {
        self.before.is_none()
    }

    pub(crate) fn fallback(&self, now: Uptime) -> Fallback<'_> {
        let before = self.before.as_ref().map(|(rules, _)| rules);
        Fallback { before, left: self.until.since(now) }
    }
}

/// What the kernel is to go back to, and when.
#[derive(Clone, Copy, Debug)]
pub struct Fallback<'a> {
    /// The rules from before; nothing: no packet is judged.
    pub before: Option<&'a Rules>,
    /// How long from now. Zero: at once.
    pub left: Duration,
}
