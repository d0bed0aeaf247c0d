//! A bounded queue that is fair to networks: a flood delays and drops knocks of its own network, and rarely
//! those of others. Pure.
//!
//! Stochastic fair queuing: networks are assigned to buckets by a keyed hash, and buckets take turns. Two
//! networks in one bucket share its turns; without the key an attacker cannot choose a bucket.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

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
