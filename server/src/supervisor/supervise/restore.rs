//! The table is loaded again: after another program has removed it, and after the machine was suspended. The kernel's
//! timeouts stand still during a suspend, deadlines of grants do not, so each element gets the time that it has left.

use std::time::Duration;

use sknock_gate::{BootInstant, Outcome};
use tracing::{error, info, warn};

use super::{Supervisor, TICK};

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
    /// Restores everything that another program has removed; if that fails, again in the next round.
    pub(super) fn restore_if_changed(&mut self, now: BootInstant) {
        // Always read: or it stays readable, and we never sleep.
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
            self.gate_service.tell_of_the_rest();
            self.restore_at = None;
        }
    }

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
