//! The revocation lists in force, and the way from a judged knock to its door: nothing that was judged by
//! lists which are in force no longer opens after they have been replaced.
//!
//! Between judging and opening a knock is written to disk, which takes as long as the disk likes. So it is
//! judged by the lists once more, with the passage held until the gate has answered; and whoever replaces
//! the lists waits until nobody is in the passage. What is closed after that, closes all.

use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::{ArcSwap, Guard};
use sknock_protocol::Revocation;

/// One for all threads.
#[derive(Debug)]
pub struct InForce {
    lists: ArcSwap<Revocation>,
    /// Held by whoever asks the gate to open; it answers within milliseconds.
    passage: RwLock<()>,
}

impl InForce {
    /// These to begin with.
    pub fn new(lists: Revocation) -> Self {
        Self { lists: ArcSwap::from_pointee(lists), passage: RwLock::new(()) }
    }

    /// What is in force at this moment. It may be replaced at any time, so it is good for refusing, and for
    /// letting on to the next step.
    pub fn load(&self) -> Guard<Arc<Revocation>> {
        self.lists.load()
    }

    /// Opens, by what is in force: `work` looks whom it still lets in, and asks the gate for no other.
    pub fn open<T>(&self, work: impl FnOnce(&Revocation) -> T) -> T {
        // Nothing is behind the lock that a panic could have left half done.
        let _passage = self.passage.read().unwrap_or_else(PoisonError::into_inner);
        work(&self.lists.load())
    }

    /// Puts others in force. When this is back, nobody opens by the former ones any more.
    pub fn replace(&self, lists: Revocation) {
        self.lists.store(Arc::new(lists));
        drop(self.passage.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use sknock_protocol::RevocationLists;

    use super::*;

    #[test]
    fn lists_are_replaced_when_nobody_opens_by_the_former_ones() {
        let in_force = InForce::new(Revocation::NotConfigured);
        let (told, events) = mpsc::channel();
        let (inside, entered) = mpsc::channel();
        let (go_on, may_leave) = mpsc::channel();
        thread::scope(|scope| {
            let opener = told.clone();
            let in_force = &in_force;
            scope.spawn(move || {
                in_force.open(|_| {
                    inside.send(()).unwrap();
                    may_leave.recv().unwrap();
                    opener.send("opened by the former").unwrap();
                });
            });
            entered.recv().unwrap();
            scope.spawn(move || {
                in_force.replace(Revocation::Lists(RevocationLists::new(Duration::ZERO)));
                told.send("replaced").unwrap();
            });
            // It is in force at once, for whoever only looks; but the one inside has not opened yet.
            while matches!(**in_force.load(), Revocation::NotConfigured) {
                thread::yield_now();
            }
            let early = events.recv_timeout(Duration::from_millis(200));
            // Before anything fails, or nobody would end.
            go_on.send(()).unwrap();
            assert!(early.is_err(), "{early:?}");
            assert_eq!(events.recv().unwrap(), "opened by the former");
            assert_eq!(events.recv().unwrap(), "replaced");
            in_force.open(|lists| assert!(matches!(lists, Revocation::Lists(_))));
        });
    }
}
