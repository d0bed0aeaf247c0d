//! A bounded queue that is fair to networks: a flood delays and drops knocks of its own network, and rarely
//! those of others. Pure.
//!
//! Stochastic fair queuing: networks are assigned to buckets by a keyed hash, and buckets take turns. Two
//! networks in one bucket share its turns; without the key an attacker cannot choose a bucket.
//!
//! Logs that more datagrams arrived than can be processed. Any sender can cause that, so all workers together
//! write one line in ten seconds. Time is a parameter.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sknock_protocol::Timestamp;
use tracing::warn;

/// The number of buckets: the probability that a flood shares another network's bucket is one in this number.
pub const BUCKETS: usize = 1024;

/// The queue. Its memory is bounded by its capacity, and reused.
#[derive(Debug)]
pub struct FairQueue<T> {
    key: RandomState,
    capacity: usize,
    /// The queued items, in no order.
    places: Vec<Option<T>>,
    /// The indexes of the empty places.
    empty: Vec<usize>,
    /// The places of each bucket, in order of arrival.
    buckets: Vec<VecDeque<usize>>,
    /// The non-empty buckets, in turn.
    fetches: VecDeque<usize>,
}

impl<T> FairQueue<T> {
    /// An empty queue for at most `capacity` items, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            key: RandomState::new(),
            capacity: capacity.max(1),
            places: Vec::new(),
            empty: Vec::new(),
            buckets: std::iter::repeat_with(VecDeque::new).take(BUCKETS).collect(),
            fetches: VecDeque::new(),
        }
    }

    /// The number of queued items.
    pub fn len(&self) -> usize {
        self.places.len() - self.empty.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.fetches.is_empty()
    }

    /// Adds an item from `source`.
    ///
    /// If the queue is full, one item is removed and returned: the oldest of the fullest bucket, whose client
    /// will time out or retry first.
    pub fn push(&mut self, source: IpAddr, item: T) -> Option<T> {
        let gone = if self.len() < self.capacity { None } else { self.make_room() };
        let place = self.empty.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(item);
        let bucket = self.bucket(source);
        if self.buckets[bucket].is_empty() {
            self.fetches.push_back(bucket);
        }
        self.buckets[bucket].push_back(place);
        gone
    }

    /// Takes the next item: the oldest of the bucket whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let bucket = self.fetches.pop_front()?;
        let item = self.take_first(bucket);
        if !self.buckets[bucket].is_empty() {
            self.fetches.push_back(bucket);
        }
        item
    }

    fn make_room(&mut self) -> Option<T> {
        let fullest =
            self.fetches.iter().copied().max_by_key(|bucket| self.buckets[*bucket].len())?;
        let item = self.take_first(fullest);
        if self.buckets[fullest].is_empty() {
            self.fetches.retain(|bucket| *bucket != fullest);
        }
        item
    }

    fn take_first(&mut self, bucket: usize) -> Option<T> {
        let place = self.buckets[bucket].pop_front()?;
        self.empty.push(place);
        self.places[place].take()
    }

    fn bucket(&self, source: IpAddr) -> usize {
        let hash = self.key.hash_one(network(source)) % BUCKETS as u64;
        usize::try_from(hash).unwrap_or_default()
    }
}

/// The network that one attacker may own as a whole: a /24 of IPv4, a /48 of IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !0 << 8).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !0 << 80).into()),
    }
}

/// Seconds between two lines, by the wall clock.
const PERIOD: u64 = 10;

/// Losses of all workers that are not logged yet.
#[derive(Debug, Default)]
pub struct Overload {
    /// Lost because a socket was full.
    lost: AtomicU64,
    /// Dropped because a queue was full.
    dropped_knocks: AtomicU64,
    /// The second of the latest log line.
    logged: Mutex<Option<u64>>,
}

impl Overload {
    /// Counts datagrams that a socket lost.
    pub(crate) fn count_lost(&self, count: u32) {
        self.lost.fetch_add(count.into(), Ordering::Relaxed);
    }

    /// Counts a knock that was dropped from a queue.
    pub(crate) fn count_dropped(&self) {
        self.dropped_knocks.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs the losses since the latest line, at most once in ten seconds.
    pub(crate) fn log(&self, clock: fn() -> Timestamp) {
        let counts = [&self.lost, &self.dropped_knocks];
        if counts.iter().all(|count| count.load(Ordering::Relaxed) == 0) {
            return;
        }
        if let Some((lost, dropped_knocks)) = self.due(clock().as_secs()) {
            warn!(lost, dropped_knocks, "overload: datagrams dropped");
        }
    }

    fn due(&self, second: u64) -> Option<(u64, u64)> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock may have been set back.
        if logged.is_some_and(|logged| logged.abs_diff(second) < PERIOD) {
            return None;
        }
        *logged = Some(second);
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Some((take(&self.lost), take(&self.dropped_knocks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_report_overload_once_in_ten_seconds_with_full_counts() {
        let overload = Overload::default();
        overload.count_lost(3);
        assert_eq!(overload.due(1000), Some((3, 0)), "the first at once");
        overload.count_lost(4);
        overload.count_dropped();
        assert_eq!((overload.due(1000), overload.due(1009)), (None, None));
        overload.count_lost(5);
        assert_eq!(overload.due(1010), Some((9, 1)));
        overload.count_dropped();
        assert_eq!(overload.due(1011), None);
        assert_eq!(overload.due(500), Some((0, 1)), "the clock was set back");
    }
}
