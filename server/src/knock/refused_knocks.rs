//! Datagrams that were decrypted and refused recently, so that a recorded datagram costs one decryption, not
//! one for each repetition. Bounded: the oldest are dropped first. No clock, no I/O.
//!
//! The meaning of a memo is defined in the protocol crate: `protocol/src/refusal_memo.rs`.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use sknock_protocol::{Refusal, RefusalMemo, Revocation, Second, Timestamp, Unveiled};

/// How many refused datagrams are remembered, about 140 bytes each: 2 MB. An attacker with more recordings than that, or
/// with the server's certificate, can cause decryptions; the queue that is fair to networks bounds their effect.
const MOST: usize = 14_336;

/// Enough shards that threads rarely contend.
const SHARDS: usize = 16;

/// Stores memos by the content under the veil.
///
/// By 64 bits of a hash with a random key, so that an attacker cannot search for collisions. If an honest
/// knock ever collides (probability 10^-15), its client knocks again, with another one-time key.
#[derive(Debug)]
pub struct RefusedKnocks {
    hasher: RandomState,
    shards: [Mutex<RefusedShard>; SHARDS],
    room: usize,
    lists: Mutex<Lists>,
}

/// The CRLs of the last check, and the number of changes before. They are kept alive, so that no others can
/// have the same address in memory.
#[derive(Debug, Default)]
struct Lists {
    latest: Option<Arc<Revocation>>,
    number: u64,
}

#[derive(Debug, Default)]
struct RefusedShard {
    known: HashMap<u64, RefusedEntry>,
    order: VecDeque<u64>,
}

#[derive(Debug)]
struct RefusedEntry {
    refusal_memo: RefusalMemo,
    repeated: bool,
}

/// How often a datagram was refused before, as far as known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Before {
    /// Never.
    #[default]
    Never,
    /// Once: it is sent again for the first time.
    Once,
    /// More often.
    Often,
}

/// Identifies the content under the veil of one datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DatagramId(u64);

impl Default for RefusedKnocks {
    fn default() -> Self {
        Self::with_room(MOST)
    }
}

impl RefusedKnocks {
    /// Stores about this number of memos.
    pub fn with_room(room: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            room: room.div_ceil(SHARDS),
            lists: Mutex::default(),
        }
    }

    pub(crate) fn name(&self, unveiled: &Unveiled) -> DatagramId {
        DatagramId(self.hasher.hash_one(unveiled.content()))
    }

    /// The current second, with these CRLs.
    pub(crate) fn second(&self, revocation: &Arc<Revocation>, now: Timestamp) -> Second {
        // A panic while it is locked leaves it consistent.
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if !lists.latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, revocation)) {
            lists.latest = Some(Arc::clone(revocation));
            lists.number += 1;
        }
        Second::new(now, lists.number)
    }

    /// The reason to refuse this datagram again, if `check` accepts its memo.
    pub(crate) fn again(
        &self,
        DatagramId(name): DatagramId,
        check: impl FnOnce(&RefusalMemo) -> Option<Refusal>,
    ) -> Option<(Refusal, Before)> {
        let mut shard = self.shard(name).lock().ok()?;
        let entry = shard.known.get_mut(&name)?;
        let reason = check(&entry.refusal_memo)?;
        let before = if entry.repeated { Before::Often } else { Before::Once };
        entry.repeated = true;
        Some((reason, before))
    }

    /// Stores the memo, and returns how often the datagram was refused before.
    pub(crate) fn keep(&self, DatagramId(name): DatagramId, refusal_memo: RefusalMemo) -> Before {
        let Ok(mut shard) = self.shard(name).lock() else { return Before::Never };
        if let Some(entry) = shard.known.get_mut(&name) {
            entry.refusal_memo = refusal_memo;
            let before = if entry.repeated { Before::Often } else { Before::Once };
            entry.repeated = true;
            return before;
        }
        if shard.order.len() >= self.room
            && let Some(oldest) = shard.order.pop_front()
        {
            shard.known.remove(&oldest);
        }
        shard.order.push_back(name);
        shard.known.insert(name, RefusedEntry { refusal_memo, repeated: false });
        Before::Never
    }

    fn shard(&self, name: u64) -> &Mutex<RefusedShard> {
        &self.shards[usize::from(name.to_le_bytes()[7]) % SHARDS]
    }
}
