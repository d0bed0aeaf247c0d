//! What is open, in memory: enough to put it back when somebody flushed it, never to shorten what is
//! longer, and to close what a certificate holds. No system call; time is a parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{Ceiling, Door, Element, Holder, Label, Opening, Set, Uptime, Way};

/// Open doors, each with everyone who holds it. Two certificates behind one address hold the same
/// door: the kernel has one element, open as long as the longer of them, and revoking one leaves the
/// other what it was granted.
#[derive(Clone, Debug, Default)]
pub struct Live {
    claims: BTreeMap<(Door, Holder), Claim>,
    deadlines: BTreeSet<(Uptime, Door, Holder)>,
    /// The same by holder: a revocation list of thousands must not search all doors for each entry.
    held: BTreeSet<(Holder, Door)>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    until: Uptime,
    label: Label,
}

impl Live {
    /// How many doors are open, each counted once for every holder. After [`Live::expire`] exact.
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Forgets what has ended, and says what that was; the kernel has closed it by itself.
    pub fn expire(&mut self, now: Uptime) -> Vec<(Holder, Door)> {
        let mut ended = Vec::new();
        while let Some(&(until, door, holder)) = self.deadlines.first() {
            if until > now {
                break;
            }
            self.deadlines.pop_first();
            self.claims.remove(&(door, holder));
            self.held.remove(&(holder, door));
            ended.push((holder, door));
        }
        ended
    }

    /// Whether anybody but `except` may use this way, once or more often.
    pub fn is_held(&self, way: &Way, except: Option<&Holder>) -> bool {
        let Way { address, transport, port } = *way;
        let door = |single_use| Door { address, transport, port, single_use };
        [false, true].into_iter().any(|once| self.longest(&door(once), except).is_some())
    }

    /// The doors that are open and that `ceiling` forbids.
    pub(crate) fn forbidden(&self, ceiling: &Ceiling) -> Vec<Door> {
        let doors = self.claims.keys().map(|(door, _)| *door);
        doors.filter(|door| !ceiling.permits(door.transport, door.port)).collect()
    }

    /// How many more doors this opening adds: what its holder has open already is only renewed.
    pub fn additional(&self, opening: &Opening) -> usize {
        let holder = opening.label().holder;
        opening.doors().filter(|&door| !self.claims.contains_key(&(door, holder))).count()
    }

    /// The elements that this opening needs in the kernel. None is shorter than what is open there.
    pub fn plan(&self, opening: &Opening, now: Uptime) -> Vec<Element> {
        let wanted = Claim { until: until(opening, now), label: *opening.label() };
        let longer = |door| match self.longest(&door, None) {
            Some(open) if open.until > wanted.until => open,
            _ => wanted,
        };
        opening.doors().map(|door| longer(door).element(door, now)).collect()
    }

    /// Whether none of this opening's doors is open for anyone.
    pub fn is_news(&self, opening: &Opening) -> bool {
        opening.doors().all(|door| self.longest(&door, None).is_none())
    }

    /// Remembers an opening that is in the kernel.
    pub fn record(&mut self, opening: &Opening, now: Uptime) {
        let claim = Claim { until: until(opening, now), label: *opening.label() };
        opening.doors().for_each(|door| self.keep(door, claim));
    }

    /// Forgets an opening that was recorded as news and did not get into the kernel.
    pub(crate) fn retract(&mut self, opening: &Opening) {
        let holder = opening.label().holder;
        for door in opening.doors() {
            self.drop_claim(door, holder);
        }
    }

    /// What closing everything of `holder` means for the kernel: doors to remove, and doors that
    /// somebody else holds as well, with what those have left.
    pub fn plan_close(&self, holder: &Holder, now: Uptime) -> (Vec<Element>, Vec<Door>) {
        let mut stay = Vec::new();
        let mut close = Vec::new();
        for door in self.doors_of(holder) {
            match self.longest(&door, Some(holder)) {
                Some(other) => stay.push(other.element(door, now)),
                None => close.push(door),
            }
        }
        (stay, close)
    }

    fn doors_of(&self, holder: &Holder) -> impl Iterator<Item = Door> {
        let first = (*holder, Door::FIRST);
        self.held
            .range(first..)
            .take_while(move |(owner, _)| owner == holder)
            .map(|(_, door)| *door)
    }

    /// Forgets everything of `holder`; how many doors that were.
    pub fn forget(&mut self, holder: &Holder) -> usize {
        let doors: Vec<Door> = self.doors_of(holder).collect();
        for &door in &doors {
            self.drop_claim(door, *holder);
        }
        doors.len()
    }

    fn drop_claim(&mut self, door: Door, holder: Holder) {
        self.held.remove(&(holder, door));
        if let Some(claim) = self.claims.remove(&(door, holder)) {
            self.deadlines.remove(&(claim.until, door, holder));
        }
    }

    /// Takes over what the kernel had open when this gate began, and what it now permits of it: not
    /// what the ceiling forbids today, nothing longer than its longest, the longest first if they are
    /// too many. How many were not kept.
    pub fn adopt(&mut self, mut seen: Vec<Element>, ceiling: &Ceiling, now: Uptime) -> usize {
        let before = seen.len();
        seen.retain(|element| ceiling.permits(element.door.transport, element.door.port));
        seen.sort_by_key(|element| std::cmp::Reverse(element.remaining));
        seen.truncate(ceiling.live.saturating_sub(self.len()));
        for element in &seen {
            let until = now.after(element.remaining.min(ceiling.longest));
            self.keep(element.door, Claim { until, label: element.label });
        }
        before - seen.len()
    }

    /// Forgets what `ceiling` forbids, and single-use doors that are not among those `seen` in the
    /// kernel: they may have been used. How many doors that were.
    pub fn narrow(&mut self, seen: &[Element], ceiling: &Ceiling) -> usize {
        let unused: BTreeSet<Door> = seen.iter().map(|element| element.door).collect();
        self.retain(|door, _| {
            ceiling.permits(door.transport, door.port)
                && (!door.single_use || unused.contains(door))
        })
    }

    /// All that the kernel should have now, each door once.
    pub fn elements(&self, now: Uptime) -> Vec<Element> {
        let mut elements: Vec<Element> = Vec::with_capacity(self.claims.len());
        for (&(door, _), claim) in self.claims.iter().filter(|(_, claim)| claim.until > now) {
            let element = claim.element(door, now);
            match elements.last_mut() {
                Some(last) if last.door == door => {
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
        self.claims.keys().filter(|(door, _)| door.set() == set).count()
    }

    /// The longest claim on `door`, of anyone but `except`.
    fn longest(&self, door: &Door, except: Option<&Holder>) -> Option<Claim> {
        self.claims
            .range((*door, Holder::NOBODY)..)
            .take_while(|((other, _), _)| other == door)
            .filter(|((_, holder), _)| Some(holder) != except)
            .map(|(_, claim)| *claim)
            .max_by_key(|claim| claim.until)
    }

    fn keep(&mut self, door: Door, claim: Claim) {
        let holder = claim.label.holder;
        let open = self.claims.get(&(door, holder));
        if open.is_some_and(|open| open.until >= claim.until) {
            return;
        }
        if let Some(open) = self.claims.insert((door, holder), claim) {
            self.deadlines.remove(&(open.until, door, holder));
        }
        self.deadlines.insert((claim.until, door, holder));
        self.held.insert((holder, door));
    }

    fn retain(&mut self, stays: impl Fn(&Door, &Holder) -> bool) -> usize {
        let before = self.claims.len();
        self.claims.retain(|(door, holder), _| stays(door, holder));
        self.deadlines.retain(|(_, door, holder)| stays(door, holder));
        self.held.retain(|(holder, door)| stays(door, holder));
        before - self.claims.len()
    }
}

impl Claim {
    fn element(&self, door: Door, now: Uptime) -> Element {
        Element { door, remaining: self.until.since(now), label: self.label }
    }
}

fn until(opening: &Opening, now: Uptime) -> Uptime {
    now.after(Duration::from_secs(opening.seconds().into()))
}
