//! The gate ends connections: of grants that are closed before their time, and of whoever came in
//! through a gap in the protection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Gate;
use crate::grant_file::entry::Entry;
use crate::{
    Change, Cuts, Door, Element, Ending, Error, Happened, Holder, Label, Live, Opening, Policy,
    Rules, Uptime, Way,
};

impl Gate {
    /// Moves what has ended by itself to what was granted once: its connections go on. Every request
    /// does that first; whoever does it in quiet times, too, spares the first request after them to
    /// do all of it.
    pub fn expire(&mut self, now: Uptime) {
        for (label, door) in self.live.expire(now) {
            self.keep_former(label, &door);
        }
    }

    /// A grant has ended, and what went through goes on.
    pub(super) fn keep_former(&mut self, label: Label, door: &Door) {
        if self.rules.ending == Ending::Cut {
            self.former.keep(label, door.way(), self.ceiling.live, self.ceiling.live_of_one());
        }
    }

    /// Whether a connection on this way needs a grant. Only such may be cut: to be kept off a port that
    /// is open to everybody else would be a lock-out. While rules are on trial, those from before count,
    /// too: the kernel may go back to them at any time, and would keep the cuts.
    pub(super) fn may_cut(&self, way: &Way) -> bool {
        let closes = |rules: &Rules| rules.closes(way.transport, way.port);
        let before = self.trial.as_ref().map(|trial| &trial.before);
        let still =
            before.is_none_or(|before| before.as_ref().is_some_and(|(rules, _)| closes(rules)));
        closes(&self.rules) && still
    }

    /// On which ways all connections are to end with what `holder` has open, or had. Not where somebody
    /// else is let in, nor where nobody needs a grant.
    fn endings(&self, holder: &Holder, closing: &[Door]) -> Vec<Way> {
        if self.rules.ending == Ending::Close {
            return Vec::new();
        }
        let mut ways = self.former.of(holder);
        ways.extend(closing.iter().map(Door::way));
        let ends = |way: &Way| self.may_cut(way) && !self.live.is_held(way, Some(holder));
        ways.into_iter().filter(ends).collect()
    }

    /// Closes doors of `holder`, and cuts what goes through them, in one transaction.
    pub(super) fn shut(
        &mut self,
        holder: &Holder,
        (stay, close): (&[Element], &[Door]),
    ) -> Result<(), Error> {
        let ways = self.endings(holder, close);
        self.cut_and(&ways, Change { put: stay, remove: close, ..Change::default() })
    }

    /// Somebody else has closed these doors in the kernel, and means it: they do not come back with the
    /// table, and what goes through them ends. Whose they were, and how many each had. Doors that
    /// nobody holds are left out.
    pub fn closed_by_hand(&mut self, doors: &[Door], now: Uptime) -> Happened {
        self.expire(now);
        let (mut closed, mut held) = (BTreeMap::<Holder, usize>::new(), Vec::new());
        for door in doors {
            let labels = self.live.forget_door(door);
            if !labels.is_empty() {
                held.push(*door);
                self.note(&Entry::ClosedDoor(*door));
            }
            for label in labels {
                *closed.entry(label.holder).or_default() += 1;
            }
        }
        let ends = |way: &Way| {
            self.rules.ending == Ending::Cut && self.may_cut(way) && !self.live.is_held(way, None)
        };
        let ways: BTreeSet<Way> = held.iter().map(Door::way).filter(ends).collect();
        let ways: Vec<Way> = ways.into_iter().collect();
        // Closed once more, if somebody was let in again before we were told.
        let doors = Change { remove: &held, ..Change::default() };
        match self.cut_and(&ways, doors) {
            Err(error) if !error.is_gone() => return Happened::Failed(error),
            _ => {}
        }
        self.write_down(now);
        self.settle();
        Happened::Closed(closed.into_iter().collect())
    }

    /// Doors that should be open and that the kernel does not have, so that somebody must have closed
    /// them. None if the table itself is gone. Those for single use may have been used, and what ends
    /// within a second may have ended.
    pub fn missing(&mut self, now: Uptime) -> Result<Vec<Door>, Error> {
        if !self.raised || !self.firewall.exists()? {
            return Ok(Vec::new());
        }
        let open: BTreeSet<Door> = self.firewall.dump()?.iter().map(|one| one.door).collect();
        let lasting = self.live.elements(now.after(Duration::from_secs(1)));
        let doors = lasting.into_iter().map(|element| element.door);
        Ok(doors.filter(|door| !door.single_use && !open.contains(door)).collect())
    }

    /// Cuts `ways` in one transaction with `doors`; those alone, if there is no room for more cuts.
    pub(super) fn cut_and(&mut self, ways: &[Way], doors: Change<'_>) -> Result<(), Error> {
        match self.cut(ways, doors, self.ceiling.live) {
            // By hand: our own are far fewer. What was granted closes all the same.
            Err(error) if error.is_full() => {
                self.severed.fail(error);
                self.firewall.change(&doors)
            }
            done => done,
        }
    }

    /// Cuts `ways` in one transaction with `doors`. To keep within `most`, the oldest cuts end.
    fn cut(&mut self, ways: &[Way], doors: Change<'_>, most: usize) -> Result<(), Error> {
        let new: Vec<Way> = ways.iter().filter(|way| !self.cuts.contains(way)).copied().collect();
        let oldest = self.cuts.add(&new, most);
        let change = Change { cut: ways, uncut: &oldest, ..doors };
        match self.firewall.change(&change) {
            // A table that is gone gets all cuts when it is put back.
            Err(error) if !error.is_gone() => {
                self.cuts.remove(&new);
                self.cuts.add(&oldest, most);
                return Err(error);
            }
            _ => {}
        }
        for way in &new {
            self.note(&Entry::Cut(*way));
        }
        for way in &oldest {
            self.note(&Entry::Uncut(*way));
        }
        self.severed.note(&new);
        self.doomed.extend(ways);
        Ok(())
    }

    /// The ways of this opening that are cut: it opens them again.
    pub(super) fn freed(&self, opening: &Opening) -> Vec<Way> {
        if self.cuts.is_empty() {
            return Vec::new();
        }
        let ways: BTreeSet<Way> = opening.doors().map(|door| door.way()).collect();
        ways.into_iter().filter(|way| self.cuts.contains(way)).collect()
    }

    /// Remembers that this is in the kernel, and cut no more.
    pub(super) fn opened(&mut self, opening: &Opening, freed: &[Way]) {
        self.cuts.remove(freed);
        opening.doors().for_each(|door| self.legitimate.grant(door.way()));
    }

    /// What is cut once the table is put up anew with `live` in it: what was, what an earlier run has
    /// `left`, and the ways of doors that are `forbidden` from now on. Nobody is cut off who is let in,
    /// nor where nobody needs a grant.
    pub(super) fn cuts_with(&self, live: &Live, left: &[Way], forbidden: &[Door]) -> Cuts {
        let mut cuts = self.cuts.clone();
        cuts.add(left, self.ceiling.live);
        // What is on trial may be taken back; a connection would not come back.
        if self.rules.ending == Ending::Cut && self.trial.is_none() {
            let on_trial = self.forbidden_on_trial.iter().copied();
            let on_trial = on_trial.filter(|way| !self.ceiling.permits(way.transport, way.port));
            let ways: Vec<Way> = forbidden.iter().map(Door::way).chain(on_trial).collect();
            cuts.add(&ways, self.ceiling.live);
        }
        cuts.retain(|way| self.may_cut(way) && !live.is_held(way, None));
        cuts
    }

    /// Remembers what the rules in force forbid while they are on trial. After that it is cut, or allowed again.
    pub(super) fn note_forbidden(&mut self, forbidden: &[Door]) {
        if self.trial.is_some() {
            self.forbidden_on_trial.extend(forbidden.iter().map(Door::way));
        } else {
            self.forbidden_on_trial.clear();
        }
    }

    /// Takes these over, now that they are in the kernel.
    pub(super) fn have_cut(&mut self, cuts: Cuts, left: &[Way]) {
        let new: Vec<Way> = cuts.all().filter(|way| !self.cuts.contains(way)).collect();
        let news: Vec<Way> = new.iter().filter(|way| !left.contains(way)).copied().collect();
        self.severed.note(&news);
        self.doomed.extend(new);
        self.cuts = cuts;
    }

    /// Has the kernel forget connections that were cut: looks through all that it knows, if any were.
    /// Until then, and if it fails, nothing passes on them anyway; without it, they would go on once
    /// somebody is granted the same way.
    pub fn settle(&mut self) {
        let mut doomed = std::mem::take(&mut self.doomed);
        doomed.retain(|way| self.cuts.contains(way));
        if !doomed.is_empty() {
            match self.firewall.sever(&doomed) {
                Ok(connections) => self.severed.connections += connections,
                Err(error) => self.severed.fail(error),
            }
        }
        if self.legitimate.is_full(self.ceiling.live) {
            self.take_stock();
        }
    }

    /// Remembers which connections are there, as nobody can have begun one without a right to.
    pub(super) fn take_stock(&mut self) {
        self.legitimate.begin(None);
        if self.rules.policy == Policy::None {
            return;
        }
        let most = self.ceiling.live.max(LEAST);
        match self.firewall.connected(&self.rules, |_| true, most) {
            Ok(found) => self.legitimate.begin(Some(found)),
            Err(error) => self.severed.fail(error),
        }
    }

    /// Protection was gone, and is back: whoever came in meanwhile, and never had a right to, is cut
    /// off. In doubt, a connection is older than the gap.
    pub(super) fn mind_the_gap(&mut self) {
        if self.rules.policy == Policy::None || !self.legitimate.is_known() {
            return;
        }
        if let Err(error) = self.cut_strangers() {
            self.severed.fail(error);
        }
    }

    fn cut_strangers(&mut self) -> Result<(), Error> {
        let Self { rules, live, legitimate, firewall, .. } = self;
        let strange = |way: &Way| {
            let known = legitimate.contains(way) || live.is_held(way, None);
            // Who knocked meanwhile is no stranger, and would not get an answer.
            !known && !rules.hears(way.transport, way.port) && !way.address.is_loopback()
        };
        let strangers = firewall.connected(rules, strange, MOST_STRANGERS)?;
        // They may be forged: they must not drive out those who were revoked.
        let room = self.ceiling.live.saturating_sub(self.cuts.len());
        let ways: Vec<Way> =
            strangers.into_iter().filter(|way| self.may_cut(way)).take(room).collect();
        self.cut(&ways, Change::default(), self.ceiling.live)
    }
}

/// However few grants there may be, a host has connections: so many ways take about 1 MB.
const LEAST: usize = 10_000;

/// So many who came in through a gap are looked at, at most; more than that, and none is cut off.
const MOST_STRANGERS: usize = 100_000;
