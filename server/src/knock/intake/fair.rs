//! A bounded queue that is fair to networks: a flood delays and drops knocks of its own network, and hardly any others.
//! Pure.
//!
//! Stochastic fairness: networks fall into buckets by a hash with a secret key, and buckets take
//! turns. Two networks in one bucket share its turns; without the key an attacker cannot choose a bucket.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

/// How many buckets there are: a flood from one network meets another network's knocks in one of
/// this many cases.
pub const BUCKETS: usize = 1024;

/// Waits in turn. All memory that it ever needs is bounded by its capacity, and used again.
#[derive(Debug)]
pub struct FairQueue<T> {
    key: RandomState,
    capacity: usize,
    /// What waits, in no order.
    places: Vec<Option<T>>,
    /// Which of the places are empty.
    empty: Vec<usize>,
    /// For each bucket its places, in the order of arrival.
    buckets: Vec<VecDeque<usize>>,
    /// The buckets with anything in them, in turn.
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

    /// How many wait.
    pub fn len(&self) -> usize {
        self.places.len() - self.empty.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.fetches.is_empty()
    }

    /// Adds what came from `source`.
    ///
    /// If the queue is full, one item is removed and returned: the first of the fullest bucket,
    /// because its sender has waited longest, and will give up or try again soonest.
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

    /// Takes what is next: the oldest of the bucket whose turn it is.
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

/// The network that an address is in, as far as one attacker may own all of it: 24 bits of IPv4, 48
/// of IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !0 << 8).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !0 << 80).into()),
    }
}
