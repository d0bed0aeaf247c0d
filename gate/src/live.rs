//! What is open, in memory: enough to put it back when somebody flushed it, never to shorten what is
//! longer, and to close what a certificate holds. No system call; time is a parameter.

mod claims;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) use self::claims::Claim;
use self::claims::Claims;
use crate::{Ceiling, Door, Element, Holder, Label, Opening, Party, Set, Uptime, Way};

/// Open doors, each with everyone who holds it. Two certificates behind one address hold the same
/// door: the kernel has one element, open as long as the longer of them, and revoking one leaves the
/// other what it was granted.
#[derive(Clone, Debug, Default)]
pub struct Live(Claims);

impl Live {
    /// How many doors are open, each counted once for every holder. After [`Live::expire`] exact.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what has ended, and says what that was; the kernel has closed it by itself.
    pub fn expire(&mut self, now: Uptime) -> Vec<(Label, Door)> {
        let ended = std::iter::from_fn(|| self.0.take_ended(now));
        ended.map(|claim| (claim.label, claim.door)).collect()
    }

    /// All claims, those on one door one after the other.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.0.iter()
    }

    /// Whether anybody holds this door.
    pub(crate) fn has(&self, door: &Door) -> bool {
        self.0.on(door).next().is_some()
    }

    /// This door as the kernel should have it now.
    pub(crate) fn element(&self, door: &Door, now: Uptime) -> Option<Element> {
        self.longest(door, None).map(|claim| claim.element(now))
    }

    /// Whether anybody but `except` may use this way, once or more often.
    pub fn is_held(&self, way: &Way, except: Option<&Holder>) -> bool {
        way.doors().iter().any(|door| self.longest(door, except).is_some())
    }

    /// The doors that are open and that `ceiling` forbids.
    pub(crate) fn forbidden(&self, ceiling: &Ceiling) -> Vec<Door> {
        let doors = self.0.iter().map(|claim| claim.door);
        doors.filter(|door| !ceiling.permits(door.transport, door.port)).collect()
    }

    /// How many more doors this opening adds for one of its addresses: what its holder has open
    /// already is only renewed.
    pub fn additional(&self, opening: &Opening, address: IpAddr) -> usize {
        let holder = opening.label().holder;
        let doors = opening.doors().filter(|door| door.address == address);
        doors.filter(|door| self.0.find(door, &holder).is_none()).count()
    }

    /// How many doors a certificate or a network has open, each counted once for every holder.
    pub fn held(&self, party: &Party) -> usize {
        self.0.held(party)
    }

    /// The elements that this opening needs in the kernel. None is shorter than what is open there.
    pub fn plan(&self, opening: &Opening, now: Uptime) -> Vec<Element> {
        let longer = |wanted: Claim| match self.longest(&wanted.door, None) {
            Some(open) if open.until > wanted.until => open.element(now),
            _ => wanted.element(now),
        };
        claims(opening, now).map(longer).collect()
    }

    /// Whether none of this opening's doors is open for anyone.
    pub fn is_news(&self, opening: &Opening) -> bool {
        opening.doors().all(|door| self.0.on(&door).next().is_none())
    }

    /// Remembers an opening that is in the kernel.
    pub fn record(&mut self, opening: &Opening, now: Uptime) {
        claims(opening, now).for_each(|claim| self.keep(claim));
    }

    /// Forgets an opening that was recorded as news and did not get into the kernel.
    pub(crate) fn retract(&mut self, opening: &Opening) {
        let holder = opening.label().holder;
        for door in opening.doors() {
            self.0.take(&door, &holder);
        }
    }

    /// What closing everything of `holder` means for the kernel: doors to remove, and doors that
    /// somebody else holds as well, with what those have left.
    pub fn plan_close(&self, holder: &Holder, now: Uptime) -> (Vec<Element>, Vec<Door>) {
        let mut stay = Vec::new();
        let mut close = Vec::new();
        for door in self.doors_of(holder) {
            match self.longest(&door, Some(holder)) {
                Some(other) => stay.push(other.element(now)),
                None => close.push(door),
            }
        }
        (stay, close)
    }

    fn doors_of(&self, holder: &Holder) -> impl Iterator<Item = Door> {
        self.0.of(holder).map(|claim| claim.door)
    }

    /// Somebody who has a door open with a certificate by this issuer.
    pub(crate) fn holder_below(&self, issuer: [u8; Holder::ISSUER]) -> Option<Holder> {
        self.0.holder_below(issuer)
    }

    /// The next issuer, in the order of their bytes, of anybody who has a door open.
    pub(crate) fn issuer_after(
        &self,
        issuer: [u8; Holder::ISSUER],
    ) -> Option<[u8; Holder::ISSUER]> {
        self.0.issuer_after(issuer)
    }

    /// Forgets everything of `holder`; how many doors that were.
    pub fn forget(&mut self, holder: &Holder) -> usize {
        let doors: Vec<Door> = self.doors_of(holder).collect();
        for door in &doors {
            self.0.take(door, holder);
        }
        doors.len()
    }

    /// Forgets all claims on `door`; whose they were.
    pub fn forget_door(&mut self, door: &Door) -> Vec<Label> {
        let labels: Vec<Label> = self.0.on(door).map(|claim| claim.label).collect();
        for label in &labels {
            self.0.take(door, &label.holder);
        }
        labels
    }

    /// Forgets what `holder` has on this way, once or more often; what that was.
    pub(crate) fn forget_on(&mut self, way: &Way, holder: &Holder) -> Vec<Claim> {
        way.doors().into_iter().filter_map(|door| self.0.take(&door, holder)).collect()
    }

    /// Whether `holder` has anything open.
    pub fn knows(&self, holder: &Holder) -> bool {
        self.0.of(holder).next().is_some()
    }

    /// Takes over those claims of an earlier run whose doors the kernel still has `open`: not what the
    /// ceiling forbids today, nothing longer than its longest, the longest first if they are too many.
    /// Those that were not taken over.
    pub fn adopt(
        &mut self,
        known: &Self,
        open: &BTreeSet<Door>,
        ceiling: &Ceiling,
        now: Uptime,
    ) -> Vec<(Label, Door)> {
        let permitted = |door: &Door| ceiling.permits(door.transport, door.port);
        let fits = |claim: &&Claim| open.contains(&claim.door) && permitted(&claim.door);
        let (mut kept, mut left): (Vec<&Claim>, Vec<&Claim>) = known.claims().partition(fits);
        kept.sort_by_key(|claim| std::cmp::Reverse(claim.until));
        left.extend(kept.split_off(kept.len().min(ceiling.live.saturating_sub(self.len()))));
        for claim in kept {
            let until = claim.until.min(now.after(ceiling.longest));
            self.keep(Claim { until, ..*claim });
        }
        left.into_iter().map(|claim| (claim.label, claim.door)).collect()
    }

    /// Forgets what `ceiling` forbids, and single-use doors that are not among those `seen` in the
    /// kernel: they may have been used. What that was. Nothing else is open for longer than the ceiling's
    /// longest from `now` on.
    pub fn narrow(
        &mut self,
        seen: &[Element],
        ceiling: &Ceiling,
        now: Uptime,
    ) -> Vec<(Label, Door)> {
        let unused: BTreeSet<Door> = seen.iter().map(|element| element.door).collect();
        let stays = |door: &Door| {
            ceiling.permits(door.transport, door.port)
                && (!door.single_use || unused.contains(door))
        };
        let gone = self.0.iter().filter(|claim| !stays(&claim.door));
        let gone: Vec<_> = gone.map(|claim| (claim.label, claim.door)).collect();
        for (label, door) in &gone {
            self.0.take(door, &label.holder);
        }
        let latest = now.after(ceiling.longest);
        let long: Vec<Claim> =
            self.0.iter().filter(|claim| claim.until > latest).copied().collect();
        for claim in long {
            self.0.take(&claim.door, &claim.label.holder);
            self.keep(Claim { until: latest, ..claim });
        }
        gone
    }

    /// All that the kernel should have now, each door once.
    pub fn elements(&self, now: Uptime) -> Vec<Element> {
        let mut elements: Vec<Element> = Vec::with_capacity(self.len());
        for claim in self.0.iter().filter(|claim| claim.until > now) {
            let element = claim.element(now);
            match elements.last_mut() {
                Some(last) if last.door == claim.door => {
                    if last.remaining < element.remaining {
                        *last = element;
                    }
                }
                _ => elements.push(element),
            }
        }
        elements
    }

    /// How many doors `set` holds for somebody.
    pub fn count(&self, set: Set) -> usize {
        self.0.iter().filter(|claim| claim.door.set() == set).count()
    }

    /// The longest claim on `door`, of anyone but `except`.
    fn longest(&self, door: &Door, except: Option<&Holder>) -> Option<&Claim> {
        self.longest_of(door, |claim| Some(&claim.label.holder) != except)
    }

    /// The longest of those claims on `door` that `counts` is true of.
    pub(crate) fn longest_of(
        &self,
        door: &Door,
        counts: impl FnMut(&&Claim) -> bool,
    ) -> Option<&Claim> {
        self.0.on(door).filter(counts).max_by_key(|claim| claim.until)
    }

    /// Remembers a claim, unless its holder has a longer one on the same door.
    pub(crate) fn keep(&mut self, claim: Claim) {
        let holder = claim.label.holder;
        let open = self.0.find(&claim.door, &holder);
        if open.is_some_and(|open| open.until >= claim.until) {
            return;
        }
        self.0.take(&claim.door, &holder);
        self.0.insert(claim);
    }
}

impl Claim {
    /// As the kernel should have it now.
    pub(crate) fn element(&self, now: Uptime) -> Element {
        Element { door: self.door, remaining: self.until.since(now), label: self.label }
    }
}

/// What an opening is, claim by claim.
pub(crate) fn claims(opening: &Opening, now: Uptime) -> impl Iterator<Item = Claim> {
    let until = now.after(Duration::from_secs(opening.seconds().into()));
    opening.doors().map(move |door| Claim { door, until, label: *opening.label() })
}
