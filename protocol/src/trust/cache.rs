//! Verified certificates, so that a repeated knock needs no path building.
//!
//! Two generations: a full young generation becomes the old one, and the unused entries of the old one are
//! dropped. An attacker with many valid certificates can evict others, which costs those one path
//! verification at their next knock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// SHA-256 of a certificate.
type Fingerprint = [u8; 32];

/// At most as many values as asked for.
#[derive(Debug)]
pub(super) struct Cache<T> {
    generations: Mutex<Generations<T>>,
}

#[derive(Debug)]
struct Generations<T> {
    young: HashMap<Fingerprint, Arc<T>>,
    old: HashMap<Fingerprint, Arc<T>>,
    /// Of one generation, half of the whole.
    room: usize,
}

impl<T> Cache<T> {
    /// Room for `entries`, at least 2.
    pub(super) fn new(entries: usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { generations: Mutex::new(Generations { young, old, room: (entries / 2).max(1) }) }
    }

    /// The entry of `fingerprint`, which thereby stays for another generation.
    pub(super) fn find(&self, fingerprint: &Fingerprint) -> Option<Arc<T>> {
        let mut generations = self.lock();
        if let Some(value) = generations.young.get(fingerprint) {
            return Some(Arc::clone(value));
        }
        let value = generations.old.remove(fingerprint)?;
        generations.put(*fingerprint, Arc::clone(&value));
        Some(value)
    }

    /// Stores `value`, replacing the entry of the same fingerprint.
    pub(super) fn keep(&self, fingerprint: Fingerprint, value: Arc<T>) {
        let mut generations = self.lock();
        generations.old.remove(&fingerprint);
        generations.put(fingerprint, value);
    }

    /// Nothing panics while holding it; should that change, the maps are still whole.
    fn lock(&self) -> MutexGuard<'_, Generations<T>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Generations<T> {
    fn put(&mut self, fingerprint: Fingerprint, value: Arc<T>) {
        if self.young.len() >= self.room && !self.young.contains_key(&fingerprint) {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(fingerprint, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bounds_and_keeps_what_is_used() {
        let cache = Cache::new(8);
        cache.keep([200; 32], Arc::new(200));
        for number in 0..100 {
            cache.keep([number; 32], Arc::new(number));
            assert_eq!(cache.find(&[200; 32]).as_deref(), Some(&200), "forgotten at {number}");
            let generations = cache.lock();
            assert!(generations.young.len() + generations.old.len() <= 8);
        }
        assert_eq!(cache.find(&[0; 32]), None);
        assert_eq!(cache.find(&[99; 32]).as_deref(), Some(&99));
    }

    #[test]
    fn a_new_value_replaces_the_former() {
        let cache = Cache::new(2);
        for value in 0..3 {
            cache.keep([1; 32], Arc::new(value));
            cache.keep([2; 32], Arc::new(9));
            assert_eq!(cache.find(&[1; 32]).as_deref(), Some(&value));
        }
    }

    #[test]
    fn a_panic_elsewhere_does_not_end_it() {
        let cache = Cache::new(4);
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| {
                let _held = cache.lock();
                panic!("on purpose");
            });
            assert!(holder.join().is_err());
        });
        cache.keep([1; 32], Arc::new(1));
        assert_eq!(cache.find(&[1; 32]).as_deref(), Some(&1));
    }
}
