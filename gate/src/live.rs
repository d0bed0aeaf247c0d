//! What is open, in memory: enough to put it back when somebody flushed it, never to shorten what is
//! longer, and to close what a certificate holds. No system call; time is a parameter.

mod claims;

use std::collections::BTreeSet;
use std::time::Duration;

use self::claims::{Claim, Claims};
use crate::{Ceiling, Door, Element, Holder, Opening, Set, Uptime, Way};

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
    pub fn expire(&mut self, now: Uptime) -> Vec<(Holder, Door)> {
        let ended = std::iter::from_fn(|| self.0.take_ended(now));
        ended.map(|claim| (claim.label.holder, claim.door)).collect()
    }

    /// Whether anybody but `except` may use this way, once or more often.
    pub fn is_held(&self, way: &Way, except: Option<&Holder>) -> bool {
        let Way { address, transport, port } = *way;
        let door = |single_use| Door { address, transport, port, single_use };
        [false, true].into_iter().any(|once| self.longest(&door(once), except).is_some())
    }

    /// The doors that are open and that `ceiling` forbids.
    pub(crate) fn forbidden(&self, ceiling: &Ceiling) -> Vec<Door> {
        let doors = self.0.iter().map(|claim| claim.door);
        doors.filter(|door| !ceiling.permits(door.transport, door.port)).collect()
    }

    /// How many more doors this opening adds: what its holder has open already is only renewed.
    pub fn additional(&self, opening: &Opening) -> usize {
        let holder = opening.label().holder;
        opening.doors().filter(|door| self.0.find(door, &holder).is_none()).count()
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

    /// Forgets everything of `holder`; how many doors that were.
    pub fn forget(&mut self, holder: &Holder) -> usize {
        let doors: Vec<Door> = self.doors_of(holder).collect();
        for door in &doors {
            self.0.take(door, holder);
        }
        doors.len()
    }

    /// Forgets all claims on `door`; whose they were.
    pub fn forget_door(&mut self, door: &Door) -> Vec<Holder> {
        let holders: Vec<Holder> = self.0.on(door).map(|claim| claim.label.holder).collect();
        for holder in &holders {
            self.0.take(door, holder);
        }
        holders
    }

    /// Whether `holder` has anything open.
    pub fn knows(&self, holder: &Holder) -> bool {
        self.0.of(holder).next().is_some()
    }

    /// Takes over what the kernel had open when this gate began, and what it now permits of it: not
    /// what the ceiling forbids today, nothing longer than its longest, the longest first if they are
    /// too many. How many were not kept.
    pub fn adopt(&mut self, mut seen: Vec<Element>, ceiling: &Ceiling, now: Uptime) -> usize {
        let before = seen.len();
        seen.retain(|element| ceiling.permits(element.door.transport, element.door.port));
        seen.sort_by_key(|element| std::cmp::Reverse(element.remaining));
        seen.truncate(ceiling.live.saturating_sub(self.len()));
        for &Element { door, remaining, label } in &seen {
            let until = now.after(remaining.min(ceiling.longest));
            self.keep(Claim { door, until, label });
        }
        before - seen.len()
    }

    /// Forgets what `ceiling` forbids, and single-use doors that are not among those `seen` in the
    /// kernel: they may have been used. How many doors that were.
    pub fn narrow(&mut self, seen: &[Element], ceiling: &Ceiling) -> usize {
        let unused: BTreeSet<Door> = seen.iter().map(|element| element.door).collect();
        let stays = |door: &Door| {
            ceiling.permits(door.transport, door.port)
                && (!door.single_use || unused.contains(door))
        };
        let gone = self.0.iter().filter(|claim| !stays(&claim.door));
        let gone: Vec<_> = gone.map(|claim| (claim.door, claim.label.holder)).collect();
        for (door, holder) in &gone {
            self.0.take(door, holder);
        }
        gone.len()
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
        let others = self.0.on(door).filter(|claim| Some(&claim.label.holder) != except);
        others.max_by_key(|claim| claim.until)
    }

    fn keep(&mut self, claim: Claim) {
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
    fn element(&self, now: Uptime) -> Element {
        Element { door: self.door, remaining: self.until.since(now), label: self.label }
    }
}

fn claims(opening: &Opening, now: Uptime) -> impl Iterator<Item = Claim> {
    let until = now.after(Duration::from_secs(opening.seconds().into()));
    opening.doors().map(move |door| Claim { door, until, label: *opening.label() })
}
