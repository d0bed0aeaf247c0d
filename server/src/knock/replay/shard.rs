//! One slice of the memory, and its eviction. Pure: no lock, no file, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use sknock_protocol::{KnockId, Timestamp};

use super::shares::Owner;
use super::{OneTimeKey, Recorded, ReplayEntry};

/// Maximum number of knocks forgotten per step. More than one, so that forgetting is faster than recording;
/// small, so that the first knock after a busy hour does not pay for all.
const FORGOTTEN_AT_ONCE: usize = 16;

/// Knocks that were admitted. The central invariant:
///
/// > every stamp above `floor` belongs to a knock that is in `known` or was never admitted.
///
/// It holds whatever the clock does, because the clock only decides *when* to forget; each forgotten knock
/// raises the floor.
#[derive(Debug, Default)]
pub(super) struct ReplayShard {
    floor: Timestamp,
    /// Sorted by timestamp, so that the oldest is first.
    known: BTreeMap<(Timestamp, KnockId), (OneTimeKey, Option<Owner>)>,
}

impl ReplayShard {
    /// Empty, and refuses all timestamps up to `floor`.
    pub(super) fn new(floor: Timestamp) -> Self {
        Self { floor, known: BTreeMap::new() }
    }

    /// Forgets some knocks that the time check would refuse anyway, and returns their keys and owners. The
    /// last `min_retained` are kept: otherwise a clock that was ahead would raise the floor, and all knocks
    /// would be refused once it is right.
    pub(super) fn evict(
        &mut self,
        now: Timestamp,
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

    /// Whether `trace` may be recorded; changes nothing.
    pub(super) fn check(&self, trace: &ReplayEntry, room: usize) -> Recorded {
        if self.known.contains_key(&(trace.stamp, trace.id)) {
            Recorded::Replayed
        } else if trace.stamp <= self.floor {
            Recorded::TooOld
        } else if self.known.len() >= room {
            Recorded::Full
        } else {
            Recorded::New
        }
    }

    /// Records `trace`, and its owner if known.
    pub(super) fn insert(&mut self, trace: &ReplayEntry, owner: Option<Owner>) {
        self.known.insert((trace.stamp, trace.id), (trace.key, owner));
    }

    /// The largest timestamp of all forgotten knocks.
    pub(super) fn floor(&self) -> Timestamp {
        self.floor
    }

    /// All entries.
    pub(super) fn traces(&self) -> impl Iterator<Item = ReplayEntry> {
        self.known.iter().map(|(&(stamp, id), &(key, _))| ReplayEntry { stamp, id, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn trace(stamp: u64, name: u8) -> ReplayEntry {
        let stamp = Timestamp::from_secs(stamp);
        ReplayEntry { stamp, id: KnockId([name; 32]), key: OneTimeKey([name; 16]) }
    }

    fn shard_with(traces: &[ReplayEntry]) -> ReplayShard {
        let mut shard = ReplayShard::default();
        for trace in traces {
            shard.insert(trace, None);
        }
        shard
    }

    fn forgotten(shard: &mut ReplayShard, now: Timestamp, spare: usize) -> Vec<OneTimeKey> {
        shard.evict(now, WINDOW, spare).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn nothing_is_forgotten_inside_the_window() {
        let mut shard = shard_with(&[trace(100, 1)]);
        assert!(shard.evict(Timestamp::from_secs(130), WINDOW, 0).is_empty());
        assert_eq!(shard.check(&trace(100, 1), 9), Recorded::Replayed);
        assert_eq!(shard.floor(), Timestamp::EPOCH);
    }

    #[test]
    fn what_is_forgotten_raises_the_floor() {
        let mut shard = shard_with(&[trace(100, 1), trace(101, 2)]);
        assert_eq!(
            forgotten(&mut shard, Timestamp::from_millis(130_001), 0),
            [OneTimeKey([1; 16])]
        );
        assert_eq!(shard.check(&trace(100, 1), 9), Recorded::TooOld);
        assert_eq!(shard.check(&trace(100, 3), 9), Recorded::TooOld, "same stamp, never seen");
        assert_eq!(shard.check(&trace(101, 2), 9), Recorded::Replayed);
        assert_eq!(shard.check(&trace(101, 3), 9), Recorded::New);
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_few_knocks_keeps_nobody_out() {
        let mut shard = shard_with(&[trace(100, 1), trace(4_000_000_000, 2)]);
        let ahead = Timestamp::from_secs(4_000_000_100);
        assert!(shard.evict(ahead, WINDOW, 2).is_empty());
        assert_eq!(shard.check(&trace(101, 3), 9), Recorded::New);
        assert_eq!(shard.check(&trace(4_000_000_000, 2), 9), Recorded::Replayed);
        shard.insert(&trace(101, 3), None);
        assert_eq!(forgotten(&mut shard, ahead, 2), [OneTimeKey([1; 16])], "the oldest goes first");
        assert_eq!(shard.check(&trace(101, 3), 9), Recorded::Replayed);
    }

    #[test]
    fn a_clock_that_steps_back_brings_nothing_back() {
        let mut shard = shard_with(&[trace(100, 1)]);
        assert_eq!(shard.evict(Timestamp::from_secs(4_000_000_000), WINDOW, 0).len(), 1);
        assert!(shard.evict(Timestamp::from_secs(100), WINDOW, 0).is_empty());
        assert_eq!(shard.check(&trace(100, 1), 9), Recorded::TooOld);
        assert_eq!(shard.check(&trace(101, 2), 9), Recorded::New, "and locks nobody out");
    }

    #[test]
    fn a_floor_is_never_lowered() {
        let mut shard = ReplayShard::new(Timestamp::from_secs(200));
        shard.insert(&trace(100, 1), None);
        assert_eq!(shard.evict(Timestamp::from_secs(300), WINDOW, 0).len(), 1);
        assert_eq!(shard.floor(), Timestamp::from_secs(200));
    }

    #[test]
    fn a_full_shard_refuses_and_keeps_what_it_has() {
        let shard = shard_with(&[trace(100, 1), trace(101, 2)]);
        assert_eq!(shard.check(&trace(102, 3), 2), Recorded::Full);
        assert_eq!(shard.check(&trace(101, 2), 2), Recorded::Replayed);
    }

    #[test]
    fn one_step_forgets_a_bounded_number() {
        let many: Vec<ReplayEntry> = (0..40).map(|name| trace(100, name)).collect();
        let mut shard = shard_with(&many);
        let later = Timestamp::from_secs(1000);
        assert_eq!(shard.evict(later, WINDOW, 0).len(), FORGOTTEN_AT_ONCE);
        // All have the timestamp of the forgotten ones: refused by either rule.
        for each in many {
            assert_ne!(shard.check(&each, 99), Recorded::New);
        }
    }

    #[test]
    fn the_last_moment_is_never_passed() {
        let last = ReplayEntry { stamp: Timestamp::from_millis(u64::MAX), ..trace(0, 1) };
        let mut shard = shard_with(&[last]);
        assert!(shard.evict(Timestamp::from_millis(u64::MAX), WINDOW, 0).is_empty());
        assert_eq!(shard.check(&last, 9), Recorded::Replayed);
    }
}
