//! Admitted knocks in memory: bounded, sharded, lost with the process. Does no I/O.
//!
//! `ReplayShard` is one slice of the memory, and its eviction. It is pure: no lock, no file, no clock.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use sknock_gate::Shares;
use sknock_protocol::{Encapsulation, KnockId, Timestamp};

use super::shares::{KnockOwner, Owner, ShareTable};
use super::{OneTimeKey, Recorded, ReplayEntry, ReplayStore};

/// The possible numbers of shards; enough that threads rarely contend. Powers of two, so that a byte is
/// distributed evenly over them.
const SHARDS: [usize; 5] = [16, 8, 4, 2, 1];

/// With a smaller capacity, a shard's number of knocks would deviate too far from the average, and a shard
/// would be full long before the memory.
const MIN_SHARD_CAPACITY: usize = 1024;

/// Knocks that are remembered longer than needed, 140 bytes each; with a capacity of less than 16,384, a
/// sixteenth of it. See [`ReplayShard::evict`].
const MIN_RETAINED: usize = 1024;

/// For a memory with this capacity.
pub(super) fn min_retained(capacity: usize) -> usize {
    MIN_RETAINED.min(capacity / 16)
}

/// Remembers a bounded number of knocks while the process lives.
///
/// It starts empty: a knock admitted before the start is admitted again. For `explain` and tests; `run` uses
/// [`Journal`](super::Journal).
#[derive(Debug)]
pub struct Memory {
    window: Duration,
    /// The capacity of one shard.
    room: usize,
    /// The number of them that are kept whatever their age.
    spare: usize,
    /// A knock's id selects the shard, so a repetition is always found.
    shards: Box<[Mutex<ReplayShard>]>,
    /// The keys of all knocks in the shards, stored separately: a lookup never waits for a disk write. Locked
    /// after a shard, never before one.
    keys: Box<[Mutex<HashSet<OneTimeKey>>]>,
    /// Locked after a shard, never before one.
    sharing: ShareTable,
}

impl Memory {
    /// Remembers up to about `capacity` knocks (exactly, up to 1024) and forgets one when the clock is more
    /// than `window` past its timestamp, except for the last few.
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self::restored(window, capacity, Timestamp::EPOCH, [])
    }

    /// Contains `traces`, even beyond `capacity`, and refuses all timestamps up to `floor`.
    pub(super) fn restored(
        window: Duration,
        capacity: usize,
        floor: Timestamp,
        traces: impl IntoIterator<Item = ReplayEntry>,
    ) -> Self {
        let count = SHARDS.into_iter().find(|n| capacity / n >= MIN_SHARD_CAPACITY).unwrap_or(1);
        let mut shards: Vec<ReplayShard> = (0..count).map(|_| ReplayShard::new(floor)).collect();
        let mut keys = vec![HashSet::new(); count];
        let mut used = 0;
        for trace in traces {
            used += 1;
            shards[slot(&trace.id.0, count)].insert(&trace, None);
            keys[slot(&trace.key.0, count)].insert(trace.key);
        }
        Self {
            window,
            room: capacity.div_ceil(count),
            spare: min_retained(capacity) / count,
            shards: shards.into_iter().map(Mutex::new).collect(),
            keys: keys.into_iter().map(Mutex::new).collect(),
            sharing: ShareTable::new(capacity, used, min_retained(capacity)),
        }
    }

    /// Limits certificates and networks to these shares of the capacity.
    #[must_use]
    pub fn sharing(self, shares: Shares) -> Self {
        Self { sharing: self.sharing.with(shares), ..self }
    }

    /// Records `trace`, of `sender` if known, if `write` succeeds; `write` is called only if no other check
    /// fails.
    pub(super) fn record_if(
        &self,
        trace: &ReplayEntry,
        sender: Option<&KnockOwner<'_>>,
        now: Timestamp,
        write: impl FnOnce() -> bool,
    ) -> Recorded {
        // A poisoned lock: a thread panicked while it changed this shard, so entries may be missing.
        let Ok(mut shard) = self.shard(&trace.id).lock() else {
            return Recorded::WriteFailed;
        };
        self.drop_all(shard.evict(now, self.window, self.spare));
        match shard.check(trace, self.room) {
            Recorded::New => {}
            refused => return refused,
        }
        let owner = sender.map(|sender| self.sharing.owner(sender));
        if let Err(refused) = self.sharing.take(owner) {
            return refused;
        }
        if !write() {
            self.sharing.free([owner]);
            return Recorded::WriteFailed;
        }
        shard.insert(trace, owner);
        self.add_key(trace.key);
        Recorded::New
    }

    /// Locks all shards, and gives access to the floor and all entries.
    ///
    /// `None` if a thread panicked while it changed a shard.
    pub(super) fn freeze(&self) -> Option<Frozen<'_>> {
        self.shards.iter().map(|shard| shard.lock().ok()).collect::<Option<_>>().map(Frozen)
    }

    /// The largest timestamp of all forgotten knocks, without shards that are locked just now: this never
    /// waits for a disk write.
    pub(super) fn floor(&self) -> Timestamp {
        let idle = self.shards.iter().filter_map(|shard| shard.try_lock().ok());
        idle.map(|shard| shard.floor()).max().unwrap_or_default()
    }

    fn shard(&self, id: &KnockId) -> &Mutex<ReplayShard> {
        &self.shards[slot(&id.0, self.shards.len())]
    }

    fn keys_like(&self, key: OneTimeKey) -> &Mutex<HashSet<OneTimeKey>> {
        &self.keys[slot(&key.0, self.keys.len())]
    }

    fn add_key(&self, key: OneTimeKey) {
        // Poisoned: then the lookup misses this knock, and a copy of it is decrypted and refused by `record`.
        if let Ok(mut keys) = self.keys_like(key).lock() {
            keys.insert(key);
        }
    }

    fn drop_all(&self, forgotten: Vec<(OneTimeKey, Option<Owner>)>) {
        if forgotten.is_empty() {
            return;
        }
        self.sharing.free(forgotten.iter().map(|(_, owner)| *owner));
        for (key, _) in forgotten {
            if let Ok(mut keys) = self.keys_like(key).lock() {
                keys.remove(&key);
            }
        }
    }
}

impl ReplayStore for Memory {
    fn has_admitted(&self, encapsulation: &Encapsulation) -> bool {
        let key = OneTimeKey::from(encapsulation);
        self.keys_like(key).lock().is_ok_and(|keys| keys.contains(&key))
    }

    fn record(&self, trace: &ReplayEntry, now: Timestamp) -> Recorded {
        self.record_if(trace, None, now, || true)
    }

    fn record_of(&self, trace: &ReplayEntry, sender: &KnockOwner<'_>, now: Timestamp) -> Recorded {
        self.record_if(trace, Some(sender), now, || true)
    }
}

/// All shards, locked.
pub(super) struct Frozen<'a>(Vec<MutexGuard<'a, ReplayShard>>);

impl Frozen<'_> {
    /// Every timestamp above it belongs to one of the entries, or was never seen.
    pub(super) fn floor(&self) -> Timestamp {
        self.0.iter().map(|shard| shard.floor()).max().unwrap_or_default()
    }

    /// All entries.
    pub(super) fn traces(&self) -> impl Iterator<Item = ReplayEntry> {
        self.0.iter().flat_map(|shard| shard.traces())
    }
}

/// The slot of a hash or a curve point in `count` slots: both are distributed evenly.
fn slot(bytes: &[u8], count: usize) -> usize {
    bytes.first().map_or(0, |&byte| usize::from(byte) % count)
}

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
    /// last `spare` are kept: otherwise a clock that was ahead would raise the floor, and all knocks
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
            // Not `>=`: the time check still accepts a stamp that is exactly one window old.
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
    fn a_few_knocks_by_a_clock_that_is_ahead_lock_no_client_out() {
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
