//! Admitted knocks in memory: bounded, sharded, lost with the process. Does no I/O.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use sknock_gate::Shares;
use sknock_protocol::{Encapsulation, KnockId, Timestamp};

use super::shard::ReplayShard;
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
