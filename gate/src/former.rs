//! What was granted, and has ended by itself: connections outlive their grant, and a revocation still
//! has to find them. Bounded; no system call.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Holder, Way};

/// Who was let in on which way, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Former {
    numbers: BTreeMap<(Holder, Way), u64>,
    order: BTreeMap<u64, (Holder, Way)>,
    next: u64,
}

impl Former {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether nothing was granted.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Remembers a grant that has ended just now; the oldest are forgotten if they are more than `most`.
    pub fn keep(&mut self, holder: Holder, way: Way, most: usize) {
        if let Some(number) = self.numbers.insert((holder, way), self.next) {
            self.order.remove(&number);
        }
        self.order.insert(self.next, (holder, way));
        self.next += 1;
        while self.len() > most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.numbers.remove(&oldest);
        }
    }

    /// Whether anything was granted to `holder` and has ended.
    pub fn knows(&self, holder: &Holder) -> bool {
        let next = self.numbers.range((*holder, Way::FIRST)..).next();
        next.is_some_and(|((owner, _), _)| owner == holder)
    }

    /// All ways that `holder` was let in on, in order.
    pub fn of(&self, holder: &Holder) -> BTreeSet<Way> {
        let same = |((owner, _), _): &(&(Holder, Way), &u64)| owner == holder;
        let from = (*holder, Way::FIRST);
        self.numbers.range(from..).take_while(same).map(|((_, way), _)| *way).collect()
    }

    /// Somebody who had a door open with a certificate by this issuer.
    pub(crate) fn holder_below(&self, issuer: [u8; Holder::ISSUER]) -> Option<Holder> {
        let from = (Holder::first_of(issuer), Way::FIRST);
        let ((holder, _), _) = self.numbers.range(from..).next()?;
        (holder.issuer == issuer).then_some(*holder)
    }

    /// Forgets all of `holder`.
    pub fn forget(&mut self, holder: &Holder) {
        for way in self.of(holder) {
            if let Some(number) = self.numbers.remove(&(*holder, way)) {
                self.order.remove(&number);
            }
        }
    }
}
