//! What a network process is asked again and again, whether all its workers turn, and what its
//! silence means. Pure.

use std::time::Duration;

use sknock_gate::BootInstant;

/// One question at a time: until it is answered no other is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heartbeat {
    /// When it was put last, or put off as it still waits for its answer.
    put: BootInstant,
    /// How often in a row it was put off. Not a time: what stops us too, like a machine that sleeps,
    /// must not count against the other.
    put_off: u32,
    waits: bool,
    answered: bool,
}

/// How often it is put.
pub(in crate::supervisor) const EVERY: Duration = Duration::from_secs(2);

/// Put off so often, 20 s in all, it will never be answered: a worker takes less than a second.
const TIMEOUT: u32 = 10;

impl Heartbeat {
    /// Whether to put it now.
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

    /// Takes an answer; `false` if none was due.
    pub(super) fn answer(&mut self) -> bool {
        let asked = self.waits;
        if asked {
            *self = Self { put: self.put, answered: true, ..Self::default() };
        }
        asked
    }

    /// Whether it was answered since this was called last.
    pub(super) fn take_answer(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// Whether no answer will come any more.
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
    fn it_is_put_every_two_seconds_and_each_answer_counts_once() {
        let mut heartbeat = Heartbeat::default();
        assert!(!heartbeat.answer(), "nobody has asked");
        for time in [10, 12, 14] {
            assert!(heartbeat.is_due(at(time)) && !heartbeat.is_due(at(time + 1)));
            assert!(heartbeat.answer() && !heartbeat.answer());
            assert!(heartbeat.take_answer() && !heartbeat.take_answer());
        }
    }

    #[test]
    fn silence_is_hopeless_after_20_s_of_asking_but_not_because_the_machine_slept() {
        let mut heartbeat = Heartbeat::default();
        assert!(heartbeat.is_due(at(10)));
        // Asleep for a day, with the question just put.
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
