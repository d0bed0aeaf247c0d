//! Datagrams that were decrypted and refused lately, so that a recorded datagram costs one decryption, not one for each time
//! it is sent. Bounded: the oldest are forgotten first. No clock, no I/O.
//!
//! What may be concluded from a memo is the protocol crate's to say: `protocol/src/refusal_memo.rs`.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use sknock_protocol::{Refusal, RefusalMemo, Revocation, Second, Timestamp, Unveiled};

/// How many refused datagrams are remembered, about 140 bytes each: 2 MB. An attacker with more recordings than that, or
/// with the server's certificate, can cause decryptions; the queue that is fair to networks bounds their effect.
const MOST: usize = 14_336;

/// Enough that threads rarely meet.
const SHARDS: usize = 16;

/// Remembers memos by what lies under the veil.
///
/// By 64 bits of a hash with a random key, so that collisions cannot be searched for outside. If an honest knock ever
/// collides (probability 10^-15), its client knocks again, under another one-time key.
#[derive(Debug)]
pub struct RefusedKnocks {
    hasher: RandomState,
    shards: [Mutex<RefusedShard>; SHARDS],
    room: usize,
    lists: Mutex<Lists>,
}

/// The revocation lists that were asked last, and how often there were others before. They are held, so
/// that no others can be at the same place in memory.
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

/// How often a datagram was refused before, as far as that is remembered.
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

/// Names what lies under the veil of one datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DatagramId(u64);

impl Default for RefusedKnocks {
    fn default() -> Self {
        Self::with_room(MOST)
    }
}

impl RefusedKnocks {
    /// Remembers about this number.
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

    /// This moment, with these lists.
    pub(crate) fn second(&self, revocation: &Arc<Revocation>, now: Timestamp) -> Second {
        // A thread that dies here leaves it whole.
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if !lists.latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, revocation)) {
            lists.latest = Some(Arc::clone(revocation));
            lists.number += 1;
        }
        Second::new(now, lists.number)
    }

    /// Why this one is refused again, if `judge` finds that of its memo.
    pub(crate) fn again(
        &self,
        DatagramId(name): DatagramId,
        judge: impl FnOnce(&RefusalMemo) -> Option<Refusal>,
    ) -> Option<(Refusal, Before)> {
        let mut shard = self.shard(name).lock().ok()?;
        let entry = shard.known.get_mut(&name)?;
        let reason = judge(&entry.refusal_memo)?;
        let before = if entry.repeated { Before::Often } else { Before::Once };
        entry.repeated = true;
        Some((reason, before))
    }

    /// Remembers why it was refused, and says how often it was before.
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
