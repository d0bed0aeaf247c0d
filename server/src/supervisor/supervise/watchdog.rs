//! Whether knocks are judged, seen from outside: who hangs is ended, and systemd hears of us only as
//! long as all is well.
//!
//! systemd's watchdog is told of every answer of the network process. While there is none that could
//! answer, as it finishes or starts, it is told that we see to that: each of these has its own limit.

use std::time::Duration;

use sknock_gate::BootInstant;
use tracing::error;

use super::Supervisor;
use crate::supervisor::network_process::{NetworkProcess, QUESTION};

/// How long a start may take: a list may take 130 s to come, a large one some more to be read.
const START: Duration = Duration::from_secs(180);

impl Supervisor {
    /// Asks, tells, and ends who does not answer.
    pub(super) fn check_liveness(&mut self, now: BootInstant) {
        let asked = self.current.as_mut().filter(|current| !current.is_finishing());
        let well = match asked {
            Some(current) => {
                current.ask(now);
                current.has_answered()
            }
            None => self.protected && now.since(self.vouched) >= QUESTION,
        };
        if well {
            self.vouched = now;
            self.notify.alive();
        }
        if let Some(current) = self.current.as_mut().filter(|current| current.is_unresponsive()) {
            end(current, "did not answer in time");
        }
        if let Some(next) = self.next.as_mut().filter(|next| next.is_late(now, START)) {
            end(next, "did not start in time");
        }
    }
}

fn end(network: &mut NetworkProcess, why: &str) {
    error!(pid = network.pid(), "the network process {why}. Killing it");
    network.kill();
}
