//! Who was cut off from which port, oldest first: so much of it as may be, and no more. No system call.

use std::collections::BTreeMap;

use crate::Way;

/// Ways on which nothing passes, until a grant opens them again.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    numbers: BTreeMap<Way, u64>,
    order: BTreeMap<u64, Way>,
    next: u64,
}

impl Cuts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether nobody is cut off.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether this one is cut.
    pub fn contains(&self, way: &Way) -> bool {
        self.numbers.contains_key(way)
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl Iterator<Item = Way> {
        self.order.values().copied()
    }

    /// Adds the last of `ways` that `most` has room for; those that had to make room for them, oldest
    /// first. What is there already stays where it is.
    pub fn add(&mut self, ways: &[Way], most: usize) -> Vec<Way> {
        for way in ways {
            if !self.contains(way) {
                self.numbers.insert(*way, self.next);
                self.order.insert(self.next, *way);
                self.next += 1;
            }
        }
        let surplus = self.len().saturating_sub(most);
        let oldest: Vec<Way> = self.all().take(surplus).collect();
        self.remove(&oldest);
        oldest
    }

    /// Forgets these.
    pub fn remove(&mut self, ways: &[Way]) {
        for way in ways {
            if let Some(number) = self.numbers.remove(way) {
                self.order.remove(&number);
            }
        }
    }

    /// Keeps only those that are so.
    pub fn retain(&mut self, stays: impl Fn(&Way) -> bool) {
        let gone: Vec<Way> = self.all().filter(|way| !stays(way)).collect();
        self.remove(&gone);
    }
}
