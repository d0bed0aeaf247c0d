//! Loads the table again: after another program has removed it, and after a suspend of the machine. The
//! kernel's timeouts do not run during a suspend, deadlines of grants do, so each element gets its remaining
//! time.

use std::time::Duration;

use sknock_gate::{BootInstant, Outcome};
use tracing::{error, info, warn};

use super::{Supervisor, TICK};

/// The two clocks are not read at exactly the same moment.
const INEXACT: Duration = Duration::from_millis(200);

/// The total suspend time when the table was last loaded.
#[derive(Debug)]
pub(super) struct Suspended(Duration);

impl Suspended {
    /// The value at the start.
    pub(super) fn begin(suspended: Duration) -> Self {
        Self(suspended)
    }

    fn has_grown(&self, suspended: Duration) -> bool {
        suspended > self.0 + INEXACT
    }
}

impl Supervisor {
    /// Restores all objects that another program has removed; after a failure, again in the next round.
    pub(super) fn restore_if_changed(&mut self, now: BootInstant) {
        // Always read: otherwise the socket stays readable, and the loop never sleeps.
        let changes = self.watch.read();
        self.gate_service.on_external_changes(&changes, now);
        if (changes.structure_changed || changes.overrun) && self.protected {
            self.restore_at.get_or_insert(now);
        }
        if self.restore_at.is_none_or(|due| now < due) {
            return;
        }
        if let Outcome::Failed(error) = self.gate_service.gate.reinstall(now) {
            error!("table inet sknock was removed and cannot be restored: {error}. Trying again");
            self.restore_at = Some(now.after(TICK));
        } else {
            warn!("another program removed table inet sknock. Restored it with all grants");
            self.gate_service.log_other_changes();
            self.restore_at = None;
        }
    }

    /// Loads the table again after a suspend; after a failure, again in the next round.
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
