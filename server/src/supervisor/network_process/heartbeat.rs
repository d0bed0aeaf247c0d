//! The heartbeat of a network process: pings ask whether all its workers turn, and missing answers are
//! counted. Pure.

use std::time::Duration;

use sknock_gate::BootInstant;

/// One ping at a time: the next is sent after the answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heartbeat {
    /// When the last ping was sent, or postponed because its answer is missing.
    put: BootInstant,
    /// How often in a row it was postponed. Not a time: a suspend of the machine stops this process too, and
    /// must not be counted.
    put_off: u32,
    waits: bool,
    answered: bool,
}

/// Interval of pings.
pub(in crate::supervisor) const EVERY: Duration = Duration::from_secs(2);

/// After this number of postponements, 20 s in total, the process is treated as hung: a worker turns within a
/// second.
const TIMEOUT: u32 = 10;

impl Heartbeat {
    /// Whether to send a ping now.
    pub(super) fn is_due(&mut self, now: BootInstant) -> bool {
        if now.since(self.put) < EVERY {
            return false;
        }
        self.put = now;
        if self.waits {
            self.put_off = self.put_off.saturating_add(1);
            return false;
        }
        self.waits = true;
        true
    }

    /// Handles an answer; `false` if none was expected.
    pub(super) fn answer(&mut self) -> bool {
        let asked = self.waits;
        if asked {
            *self = Self { put: self.put, answered: true, ..Self::default() };
        }
        asked
    }

    /// Whether it was answered since the last call.
    pub(super) fn take_answer(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// Whether the limit is exceeded.
    pub(super) fn timed_out(&self) -> bool {
        self.put_off >= TIMEOUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> BootInstant {
        BootInstant::from_millis(seconds * 1000)
    }

    #[test]
    fn a_ping_is_due_every_two_seconds_and_each_answer_is_counted_once() {
        let mut heartbeat = Heartbeat::default();
        assert!(!heartbeat.answer(), "nobody has asked");
        for time in [10, 12, 14] {
            assert!(heartbeat.is_due(at(time)) && !heartbeat.is_due(at(time + 1)));
            assert!(heartbeat.answer() && !heartbeat.answer());
            assert!(heartbeat.take_answer() && !heartbeat.take_answer());
        }
    }

    #[test]
    fn a_heartbeat_times_out_after_20_s_but_not_because_of_a_suspend() {
        let mut heartbeat = Heartbeat::default();
        assert!(heartbeat.is_due(at(10)));
        // A day of suspend just after a ping.
        assert!(!heartbeat.is_due(at(86_400)) && !heartbeat.timed_out());
        assert!(heartbeat.answer());
        assert!(heartbeat.is_due(at(86_402)));
        for time in 1..10 {
            assert!(!heartbeat.is_due(at(86_402 + 2 * time)) && !heartbeat.timed_out());
        }
        assert!(!heartbeat.is_due(at(86_422)) && heartbeat.timed_out());
        assert!(heartbeat.answer() && !heartbeat.timed_out(), "it was only slow");
    }
}
