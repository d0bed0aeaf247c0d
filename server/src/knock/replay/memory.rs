//! Used knocks in memory: bounded, sharded, gone with the process. Does no I/O.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use sknock_gate::Shares;
use sknock_protocol::{Encapsulation, KnockId, Timestamp};

use super::shard::ReplayShard;
use super::shares::{KnockOwner, Owner, ShareTable};
use super::{OneTimeKey, Recorded, ReplayEntry, ReplayStore};

/// How many shards there may be; enough that threads rarely meet. Powers of two, so that a byte
/// spreads evenly over them.
const SHARDS: [usize; 5] = [16, 8, 4, 2, 1];

/// Below this, a shard's share of the knocks would stray too far from the average, and the memory
/// would be full long before its capacity.
const MIN_SHARD_CAPACITY: usize = 1024;

/// How many knocks are remembered for longer than they need to be, 140 bytes each; with a capacity of
/// less than 16,384, a sixteenth of it. See [`ReplayShard::evict`].
const MIN_RETAINED: usize = 1024;

/// Of a memory with this capacity.
pub(super) fn min_retained(capacity: usize) -> usize {
    MIN_RETAINED.min(capacity / 16)
}

/// Remembers a bounded number of knocks while the process lives.
///
/// On its own it starts with no history: a knock admitted before the start is admitted again. Fit
/// for `explain` and tests; `run` uses [`Journal`](super::Journal).
#[derive(Debug)]
pub struct Memory {
    window: Duration,
    /// Of one shard.
    room: usize,
    /// How many of them are not forgotten for their age.
    spare: usize,
    /// A knock's id says which, so a repetition always meets its original.
    shards: Box<[Mutex<ReplayShard>]>,
    /// The keys of all that the shards know, apart from them: a lookup never waits for
    /// a write to disk. Locked after a shard, never before one.
    keys: Box<[Mutex<HashSet<OneTimeKey>>]>,
    /// Locked after a shard, never before one.
    sharing: ShareTable,
}

impl Memory {
    /// Remembers up to about `capacity` knocks (exactly, up to 1024) and forgets one when
    /// the clock is more than `window` past its stamp, but for the last few.
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self::restored(window, capacity, Timestamp::EPOCH, [])
    }

    /// Knows `traces`, even beyond `capacity`, and refuses all that is stamped up to `floor`.
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

    /// Gives no certificate and no network more than these shares of the capacity.
    #[must_use]
    pub fn sharing(self, shares: Shares) -> Self {
        Self { sharing: self.sharing.with(shares), ..self }
    }

    /// Records `trace`, of `sender` if that is known, if `write` has written it down; that is called only if nothing else
    /// prevents the record.
    pub(super) fn record_if(
        &self,
        trace: &ReplayEntry,
        sender: Option<&KnockOwner<'_>>,
        now: Timestamp,
        write: impl FnOnce() -> bool,
    ) -> Recorded {
        // A poisoned lock: a thread died while it changed this shard, and it is unknown what is
        // missing from it.
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

    /// Stops every change, and shows the floor and all that is known.
    ///
    /// `None` if a thread died while it changed a shard.
    pub(super) fn freeze(&self) -> Option<Frozen<'_>> {
        self.shards.iter().map(|shard| shard.lock().ok()).collect::<Option<_>>().map(Frozen)
    }

    /// The largest stamp of anything forgotten, but for shards that are in use just now: this
    /// waits for no write to disk.
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

/// All shards, held still.
pub(super) struct Frozen<'a>(Vec<MutexGuard<'a, ReplayShard>>);

impl Frozen<'_> {
    /// Every stamp above it belongs to one of the traces, or was never seen.
    pub(super) fn floor(&self) -> Timestamp {
        self.0.iter().map(|shard| shard.floor()).max().unwrap_or_default()
    }

    /// Everything remembered.
    pub(super) fn traces(&self) -> impl Iterator<Item = ReplayEntry> {
        self.0.iter().flat_map(|shard| shard.traces())
    }
}

/// Which of `count` slots a hash or a curve point belongs to: both are spread evenly.
fn slot(bytes: &[u8], count: usize) -> usize {
    bytes.first().map_or(0, |&byte| usize::from(byte) % count)
}
