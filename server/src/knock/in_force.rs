//! The CRLs in force. After they are replaced, no grant is made for a knock that was verified by the former ones
//! only.
//!
//! Between its verification and its grant a knock is written to disk, which may take long. So the worker checks it by
//! the CRLs once more, under a read lock that it holds until the gate has answered; `replace` waits for the write
//! lock. So grants that the server closes afterwards include those of knocks in progress.

use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::{ArcSwap, Guard};
use sknock_protocol::Revocation;

/// One for all threads.
#[derive(Debug)]
pub struct InForce {
    lists: ArcSwap<Revocation>,
    /// Read-locked during requests to the gate, which answers within milliseconds.
    opening: RwLock<()>,
}

impl InForce {
    /// Begins with these CRLs.
    pub fn new(lists: Revocation) -> Self {
        Self { lists: ArcSwap::from_pointee(lists), opening: RwLock::new(()) }
    }

    /// The CRLs in force at this moment. They may be replaced at any time, so they are enough to refuse a
    /// knock or to continue with the next step, but not to make a grant.
    pub fn load(&self) -> Guard<Arc<Revocation>> {
        self.lists.load()
    }

    /// Makes grants: `work` checks each by the CRLs in force, and asks the gate for those that pass.
    pub fn open<T>(&self, work: impl FnOnce(&Revocation) -> T) -> T {
        // The lock protects no data, so a poisoned one is harmless.
        let _opening = self.opening.read().unwrap_or_else(PoisonError::into_inner);
        work(&self.lists.load())
    }

    /// Puts other CRLs in force. After it returns, no grant is made by the former ones.
    pub fn replace(&self, lists: Revocation) {
        // In this order: a reader that takes the lock after the store loads the new CRLs, and the write lock
        // waits for earlier readers.
        self.lists.store(Arc::new(lists));
        drop(self.opening.write().unwrap_or_else(PoisonError::into_inner));
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
    fn crls_are_replaced_once_no_grant_by_the_former_ones_is_pending() {
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
            // `load` returns the new CRLs at once; but the pending grant was not made yet.
            while matches!(**in_force.load(), Revocation::NotConfigured) {
                thread::yield_now();
            }
            let early = events.recv_timeout(Duration::from_millis(200));
            // Sent before the assertions, or the threads would never end.
            go_on.send(()).unwrap();
            assert!(early.is_err(), "{early:?}");
            assert_eq!(events.recv().unwrap(), "opened by the former");
            assert_eq!(events.recv().unwrap(), "replaced");
            in_force.open(|lists| assert!(matches!(lists, Revocation::Lists(_))));
        });
    }
}
