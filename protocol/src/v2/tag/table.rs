//! The tags that a server accepts now. Each is computed once and kept; a datagram costs one lookup.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::{Accepted, EPOCH_MS, LOW_TAGS, Tag, TagKey, epoch};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;
use crate::v2::DATAGRAM_LENGTH;

/// Looks up the tags of datagrams. One is shared by all threads.
pub(crate) struct TagTable {
    key: TagKey,
    window: Duration,
    kept: RwLock<Kept>,
}

/// A datagram of v2's length whose tag is accepted. Only [`TagTable::check`] makes one.
pub(crate) struct TaggedDatagram<'a>(&'a [u8; DATAGRAM_LENGTH]);

impl<'a> TaggedDatagram<'a> {
    /// All of the datagram.
    pub(crate) fn bytes(&self) -> &'a [u8; DATAGRAM_LENGTH] {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn unchecked(datagram: &'a [u8; DATAGRAM_LENGTH]) -> Self {
        Self(datagram)
    }
}

impl TagTable {
    /// For one server, whose rules have this window.
    pub(crate) fn new(key: TagKey, window: Duration) -> Self {
        Self { key, window, kept: RwLock::default() }
    }

    /// Refuses a datagram of another length, and one without a tag that is accepted at `received`.
    pub(crate) fn check<'a>(
        &self,
        payload: &'a [u8],
        received: Timestamp,
    ) -> Result<TaggedDatagram<'a>, Refusal> {
        let datagram: &[u8; DATAGRAM_LENGTH] =
            payload.try_into().map_err(|_| Refusal::WrongLength)?;
        let tag = datagram.first_chunk().ok_or(Refusal::WrongLength)?;
        if self.accepts(*tag, received) {
            Ok(TaggedDatagram(datagram))
        } else {
            Err(Refusal::NotTagged)
        }
    }

    /// Computes the tags that are accepted at `now`, if they are not kept yet.
    pub(crate) fn prepare(&self, now: Timestamp) {
        let now = epoch(now);
        if self.read().are_for(now) {
            return;
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        // another thread may have computed them since
        if !kept.are_for(now) {
            kept.turn_to(now, &self.key, self.window);
        }
    }

    fn accepts(&self, tag: Tag, received: Timestamp) -> bool {
        self.prepare(received);
        self.read().has(tag, &Accepted::at(received, self.window))
    }

    /// Nothing panics while the lock is held; should that change, the next epoch writes all of it.
    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TagTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagTable(..)")
    }
}

/// All tags that are accepted at any time of two epochs by the server's clock: with the epoch before, threads that read
/// the clock on both sides of an epoch's end use the same tags.
#[derive(Default)]
struct Kept {
    /// The second of the two. `None`: nothing is computed yet.
    latest: Option<u64>,
    /// By the epoch that they are made for, in the order of their indexes.
    tags: BTreeMap<u64, Vec<Tag>>,
    /// The same, ascending: for the lookup.
    sorted: Vec<Entry>,
}

/// A tag and what it was made for.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Entry {
    tag: Tag,
    is_low: bool,
    epoch: u64,
}

impl Kept {
    fn are_for(&self, now: u64) -> bool {
        self.latest.is_some_and(|latest| now <= latest && latest - now <= 1)
    }

    fn has(&self, tag: Tag, accepted: &Accepted) -> bool {
        let first = self.sorted.partition_point(|entry| entry.tag < tag);
        // rarely, two of them are equal
        let found = self.sorted.iter().skip(first).take_while(|entry| entry.tag == tag);
        found.into_iter().any(|entry| accepted.includes(entry.epoch, entry.is_low))
    }

    /// Computes what is missing, and forgets what is no longer needed.
    fn turn_to(&mut self, now: u64, key: &TagKey, window: Duration) {
        let begins = Timestamp::from_millis(now.saturating_mul(EPOCH_MS));
        let epoch_span = Duration::from_millis(EPOCH_MS);
        let ends = begins.after(epoch_span).before(Duration::from_millis(1));
        let needed = Accepted::between(begins.before(epoch_span), ends, window);
        let mut before = core::mem::take(&mut self.tags);
        for (epoch, count) in needed.epochs() {
            let mut tags = before.remove(&epoch).unwrap_or_default();
            let computed = u16::try_from(tags.len()).unwrap_or(u16::MAX);
            tags.extend((computed..count).map(|index| key.tag(epoch, index)));
            tags.truncate(count.into()); // the epoch may be no longer near
            tags.shrink_to_fit();
            self.tags.insert(epoch, tags);
        }
        self.sort();
        self.latest = Some(now);
    }

    fn sort(&mut self) {
        self.sorted.clear();
        for (&epoch, tags) in &self.tags {
            let entries = tags.iter().zip(0..).map(|(&tag, index)| {
                let is_low = index < LOW_TAGS;
                Entry { tag, is_low, epoch }
            });
            self.sorted.extend(entries);
        }
        self.sorted.sort_unstable();
    }
}

#[cfg(test)]
mod tests;
