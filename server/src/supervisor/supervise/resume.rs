//! A machine that was suspended. The kernel's timeouts stand still meanwhile, those of grants do not: so the
//! table gets all elements again, each with the time that it has left.

use std::time::Duration;

use sknock_gate::{BootInstant, Outcome};
use tracing::{error, info};

use super::Supervisor;

/// Both clocks are not read at the very same moment.
const INEXACT: Duration = Duration::from_millis(200);

/// For how long the machine had been suspended when the table was last put up.
#[derive(Debug)]
pub(super) struct Suspended(Duration);

impl Suspended {
    /// As it is at the start.
    pub(super) fn begin(suspended: Duration) -> Self {
        Self(suspended)
    }

    fn has_grown(&self, suspended: Duration) -> bool {
        suspended > self.0 + INEXACT
    }
}

impl Supervisor {
    /// Puts the table up once more after the machine was suspended; if that fails, again in the next round.
    pub(super) fn resume(&mut self, now: BootInstant, suspended: Duration) {
        if !self.protected || !self.suspended.has_grown(suspended) {
            return;
        }
        if let Outcome::Failed(error) = self.gate_service.gate.install(now) {
            error!(
                "the machine was suspended, and grants cannot be shortened: {error}. Trying \
                    again"
            );
            return;
        }
        info!("the machine was suspended: grants shortened by that time");
        self.suspended = Suspended(suspended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_time_in_suspend_counts() {
        let before = Suspended::begin(Duration::from_secs(100));
        for (seconds, grown) in [(99, false), (100, false), (101, true), (10_000, true)] {
            assert_eq!(before.has_grown(Duration::from_secs(seconds)), grown, "{seconds}");
        }
        assert!(
            !before.has_grown(Duration::from_millis(100_150)),
            "clocks read one after the other"
        );
        let started = Suspended::begin(BootInstant::suspended());
        assert!(!started.has_grown(BootInstant::suspended()), "this machine is awake");
    }
}
