//! What was granted, and has ended by itself: connections outlive their grant, and a revocation still
//! has to find them. Bounded; no system call.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Holder, Label, Tally, Way};

/// Who was let in on which way, oldest first, with what stood on the grant.
#[derive(Clone, Debug, Default)]
pub struct Former {
    numbers: BTreeMap<(Holder, Way), (u64, Label)>,
    order: BTreeMap<u64, (Holder, Way)>,
    /// Those of each holder, oldest first.
    theirs: BTreeSet<(Holder, u64)>,
    counts: Tally<Holder>,
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

    /// Remembers a grant that has ended just now. If they are more than `most`, the oldest is forgotten:
    /// of this holder if it has more than `share`, so that nobody has those of others forgotten.
    pub fn keep(&mut self, label: Label, way: Way, most: usize, share: usize) {
        let holder = label.holder;
        if let Some((number, _)) = self.numbers.insert((holder, way), (self.next, label)) {
            self.drop_number(number);
        }
        self.order.insert(self.next, (holder, way));
        self.theirs.insert((holder, self.next));
        self.counts.add(holder);
        self.next += 1;
        while self.len() > most {
            let own = self.counts.of(&holder) > share;
            let oldest = if own { self.oldest_of(&holder) } else { self.oldest() };
            let Some(oldest) = oldest else { return };
            if let Some(forgotten) = self.drop_number(oldest) {
                self.numbers.remove(&forgotten);
            }
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.order.first_key_value().map(|(number, _)| *number)
    }

    fn oldest_of(&self, holder: &Holder) -> Option<u64> {
        let (owner, number) = self.theirs.range((*holder, 0)..).next()?;
        (owner == holder).then_some(*number)
    }

    /// Takes it out of every index but `numbers`.
    fn drop_number(&mut self, number: u64) -> Option<(Holder, Way)> {
        let (holder, way) = self.order.remove(&number)?;
        self.theirs.remove(&(holder, number));
        self.counts.remove(&holder);
        Some((holder, way))
    }

    /// Whether anything was granted to `holder` and has ended.
    pub fn knows(&self, holder: &Holder) -> bool {
        let next = self.numbers.range((*holder, Way::FIRST)..).next();
        next.is_some_and(|((owner, _), _)| owner == holder)
    }

    /// All ways that `holder` was let in on, in order.
    pub fn of(&self, holder: &Holder) -> BTreeSet<Way> {
        let ways = self.numbers.range((*holder, Way::FIRST)..).map(|(one, _)| one);
        ways.take_while(|(owner, _)| owner == holder).map(|(_, way)| *way).collect()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = (&Label, &Way)> {
        let one = |one: &(Holder, Way)| self.numbers.get_key_value(one);
        self.order.values().filter_map(one).map(|((_, way), (_, label))| (label, way))
    }

    /// Somebody who had a door open with a certificate by this issuer.
    pub(crate) fn holder_below(&self, issuer: [u8; Holder::ISSUER]) -> Option<Holder> {
        let from = (Holder::first_of(issuer), Way::FIRST);
        let ((holder, _), _) = self.numbers.range(from..).next()?;
        (holder.issuer == issuer).then_some(*holder)
    }

    /// The next issuer, in the order of their bytes, of anybody who had a door open.
    pub(crate) fn issuer_after(
        &self,
        issuer: [u8; Holder::ISSUER],
    ) -> Option<[u8; Holder::ISSUER]> {
        let ((holder, _), _) = self.numbers.range((Holder::after(issuer), Way::FIRST)..).next()?;
        Some(holder.issuer)
    }

    /// Forgets all of `holder`.
    pub fn forget(&mut self, holder: &Holder) {
        for way in self.of(holder) {
            self.forget_one(holder, way);
        }
    }

    /// Forgets that `holder` was let in on this way.
    pub(crate) fn forget_one(&mut self, holder: &Holder, way: Way) {
        if let Some((number, _)) = self.numbers.remove(&(*holder, way)) {
            self.drop_number(number);
        }
    }
}
