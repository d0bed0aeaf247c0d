//! What one slice of the memory knows, and when it may forget. Pure: no lock, no file, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use sknock_protocol::{KnockId, Moment};

use super::sharing::Owner;
use super::{OneTimeKey, Trace, Used};

/// Forgotten in one step at most. More than one, so that forgetting outruns remembering; few, so
/// that the first knock after a busy hour does not pay for all of it.
const FORGOTTEN_AT_ONCE: usize = 16;

/// Knocks that have been admitted. The invariant that everything rests on:
///
/// > every stamp above `floor` belongs to a knock that is in `known` or was never admitted.
///
/// It holds whatever the clock does, because the clock only decides *when* to forget; what was
/// forgotten raises the floor.
#[derive(Debug, Default)]
pub(super) struct Shard {
    floor: Moment,
    /// By stamp, so that the oldest is first.
    known: BTreeMap<(Moment, KnockId), (OneTimeKey, Option<Owner>)>,
}

impl Shard {
    /// Knows nothing, and refuses all that is stamped up to `floor`.
    pub(super) fn new(floor: Moment) -> Self {
        Self { floor, known: BTreeMap::new() }
    }

    /// Forgets some knocks that the time check would refuse anyway, and tells their keys and whose they were. The last
    /// `spare` stay: what is forgotten while the clock is ahead keeps everybody out once it is right.
    pub(super) fn forget(
        &mut self,
        now: Moment,
        window: Duration,
        spare: usize,
    ) -> Vec<(OneTimeKey, Option<Owner>)> {
        let mut forgotten = Vec::new();
        while forgotten.len() < FORGOTTEN_AT_ONCE
            && self.known.len() > spare
            && let Some(oldest) = self.known.first_entry()
            && let stamp = oldest.key().0
            && now > stamp.after(window)
        {
            self.floor = self.floor.max(stamp);
            forgotten.push(oldest.remove());
        }
        forgotten
    }

    /// Whether `trace` may be remembered; changes nothing.
    pub(super) fn judge(&self, trace: &Trace, room: usize) -> Used {
        if self.known.contains_key(&(trace.stamp, trace.id)) {
            Used::Before
        } else if trace.stamp <= self.floor {
            Used::Forgotten
        } else if self.known.len() >= room {
            Used::Full
        } else {
            Used::Never
        }
    }

    /// Remembers `trace`, and whose it is if somebody knows.
    pub(super) fn keep(&mut self, trace: &Trace, owner: Option<Owner>) {
        self.known.insert((trace.stamp, trace.id), (trace.key, owner));
    }

    /// The largest stamp of anything forgotten.
    pub(super) fn floor(&self) -> Moment {
        self.floor
    }

    /// Everything remembered.
    pub(super) fn traces(&self) -> impl Iterator<Item = Trace> {
        self.known.iter().map(|(&(stamp, id), &(key, _))| Trace { stamp, id, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn trace(stamp: u64, name: u8) -> Trace {
        let stamp = Moment::from_secs(stamp);
        Trace { stamp, id: KnockId([name; 32]), key: OneTimeKey([name; 16]) }
    }

    fn shard_with(traces: &[Trace]) -> Shard {
        let mut shard = Shard::default();
        for trace in traces {
            shard.keep(trace, None);
        }
        shard
    }

    fn forgotten(shard: &mut Shard, now: Moment, spare: usize) -> Vec<OneTimeKey> {
        shard.forget(now, WINDOW, spare).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn nothing_is_forgotten_inside_the_window() {
        let mut shard = shard_with(&[trace(100, 1)]);
        assert!(shard.forget(Moment::from_secs(130), WINDOW, 0).is_empty());
        assert_eq!(shard.judge(&trace(100, 1), 9), Used::Before);
        assert_eq!(shard.floor(), Moment::EPOCH);
    }

    #[test]
    fn what_is_forgotten_raises_the_floor() {
        let mut shard = shard_with(&[trace(100, 1), trace(101, 2)]);
        assert_eq!(forgotten(&mut shard, Moment::from_millis(130_001), 0), [OneTimeKey([1; 16])]);
        assert_eq!(shard.judge(&trace(100, 1), 9), Used::Forgotten);
        assert_eq!(shard.judge(&trace(100, 3), 9), Used::Forgotten, "same stamp, never seen");
        assert_eq!(shard.judge(&trace(101, 2), 9), Used::Before);
        assert_eq!(shard.judge(&trace(101, 3), 9), Used::Never);
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_few_knocks_keeps_nobody_out() {
        let mut shard = shard_with(&[trace(100, 1), trace(4_000_000_000, 2)]);
        let ahead = Moment::from_secs(4_000_000_100);
        assert!(shard.forget(ahead, WINDOW, 2).is_empty());
        assert_eq!(shard.judge(&trace(101, 3), 9), Used::Never);
        assert_eq!(shard.judge(&trace(4_000_000_000, 2), 9), Used::Before);
        shard.keep(&trace(101, 3), None);
        assert_eq!(forgotten(&mut shard, ahead, 2), [OneTimeKey([1; 16])], "the oldest goes first");
        assert_eq!(shard.judge(&trace(101, 3), 9), Used::Before);
    }

    #[test]
    fn a_clock_that_steps_back_brings_nothing_back() {
        let mut shard = shard_with(&[trace(100, 1)]);
        assert_eq!(shard.forget(Moment::from_secs(4_000_000_000), WINDOW, 0).len(), 1);
        assert!(shard.forget(Moment::from_secs(100), WINDOW, 0).is_empty());
        assert_eq!(shard.judge(&trace(100, 1), 9), Used::Forgotten);
        assert_eq!(shard.judge(&trace(101, 2), 9), Used::Never, "and locks nobody out");
    }

    #[test]
    fn a_floor_is_never_lowered() {
        let mut shard = Shard::new(Moment::from_secs(200));
        shard.keep(&trace(100, 1), None);
        assert_eq!(shard.forget(Moment::from_secs(300), WINDOW, 0).len(), 1);
        assert_eq!(shard.floor(), Moment::from_secs(200));
    }

    #[test]
    fn a_full_shard_refuses_and_keeps_what_it_has() {
        let shard = shard_with(&[trace(100, 1), trace(101, 2)]);
        assert_eq!(shard.judge(&trace(102, 3), 2), Used::Full);
        assert_eq!(shard.judge(&trace(101, 2), 2), Used::Before);
    }

    #[test]
    fn one_step_forgets_a_bounded_number() {
        let many: Vec<Trace> = (0..40).map(|name| trace(100, name)).collect();
        let mut shard = shard_with(&many);
        let later = Moment::from_secs(1000);
        assert_eq!(shard.forget(later, WINDOW, 0).len(), FORGOTTEN_AT_ONCE);
        // All have the stamp of those forgotten: refused by either rule.
        for each in many {
            assert_ne!(shard.judge(&each, 99), Used::Never);
        }
    }

    #[test]
    fn the_last_moment_is_never_passed() {
        let last = Trace { stamp: Moment::from_millis(u64::MAX), ..trace(0, 1) };
        let mut shard = shard_with(&[last]);
        assert!(shard.forget(Moment::from_millis(u64::MAX), WINDOW, 0).is_empty());
        assert_eq!(shard.judge(&last, 9), Used::Before);
    }
}
