//! The wait before another network process is started in place of one that has ended by itself.

use std::time::Duration;

use sknock_gate::BootInstant;

/// When to try again after a network process has ended by itself.
#[derive(Debug, Default)]
pub(super) struct RestartBackoff {
    failures: u32,
    pub(super) due: Option<BootInstant>,
}

impl RestartBackoff {
    /// Half a second, then twice as long each time, up to half a minute.
    pub(super) fn schedule(&mut self, now: BootInstant) {
        let wait = Duration::from_millis(500) * 2u32.pow(self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now.after(wait));
    }
}
