//! The gate writes down what it grants, and takes over what an earlier one has written down. Elements of
//! the kernel's sets that nobody has written down are not taken over, whatever stands on them: they
//! may come from a ruleset that was saved while they were open, in this boot or another.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::time::Duration;

use super::Gate;
use crate::grant_file::entry::Entry;
use crate::live;
use crate::{
    Change, Cuts, Door, Element, Error, Former, GrantFile, Live, Opening, Recalled, Uptime, Way,
};

/// After a failure to write, so long until the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// By so much the kernel's timeouts may differ from what was written down.
const SLACK: Duration = Duration::from_secs(1);

/// So many elements are told by name; of the others, how many they are.
const SHOWN: usize = 16;

/// Where grants are written down, and how that goes.
#[derive(Debug, Default)]
pub(super) struct Store {
    file: Option<GrantFile>,
    /// What an earlier run has left, until protection is up.
    pub(super) recalled: Recalled,
    /// After a failure, when to try again.
    again: Option<Uptime>,
    failed: Option<io::Error>,
}

/// What is taken over from an earlier run.
pub(super) struct Adopted {
    pub(super) live: Live,
    pub(super) former: Former,
    /// Doors that were open and are forbidden today.
    pub(super) forbidden: Vec<Door>,
    /// How many grants the kernel had open that are not taken over for the ceiling's sake.
    pub(super) dropped: usize,
    pub(super) unknown: Unknown,
}

/// Elements that somebody else has put into our sets, and that were removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unknown {
    /// The first of them, at most 16.
    pub elements: Vec<Element>,
    /// How many more they were.
    pub more: usize,
}

impl Gate {
    /// Writes down what is granted in `file` from here on. Before anything is put up, what an earlier run
    /// has left there is what the gate takes over of the kernel's elements; without this it takes over
    /// nothing.
    pub fn write_to(&mut self, file: GrantFile, recalled: Option<Recalled>) {
        self.store.recalled = recalled.unwrap_or_default();
        self.store.file = Some(file);
    }

    /// Why grants could not be written down, once for each time that it begins: the next gate would not
    /// take them over.
    pub fn unwritten(&mut self) -> Option<io::Error> {
        self.store.failed.take()
    }

    /// Elements that were removed since this was last asked, as nobody was granted them.
    pub fn unknown(&mut self) -> Option<Unknown> {
        (self.unknown != Unknown::default()).then(|| std::mem::take(&mut self.unknown))
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        self.store.file.iter_mut().for_each(|file| file.note(entry));
    }

    pub(super) fn note_opening(&mut self, opening: &Opening, freed: &[Way], now: Uptime) {
        if self.store.file.is_some() {
            live::claims(opening, now).for_each(|claim| self.note(&Entry::Granted(claim)));
            for way in freed {
                self.note(&Entry::Uncut(*way));
            }
        }
    }

    /// Writes what was noted, before anybody is told of it. In quiet times: tries again what has failed.
    pub fn write_down(&mut self, now: Uptime) {
        let Some(file) = &mut self.store.file else { return };
        if let Err(error) = file.append() {
            self.store.failed = Some(error);
        }
        let due = file.is_due() && self.store.again.is_none_or(|again| again <= now);
        if due && self.raised {
            self.write_whole(now);
        }
    }

    /// Writes down all that there is.
    pub(super) fn write_whole(&mut self, now: Uptime) {
        let Self { store, live, former, cuts, trial, .. } = self;
        let Some(file) = &mut store.file else { return };
        let trial = trial.as_ref().map(|trial| Entry::Trial(trial.until()));
        let former = former.all().map(|(label, way)| Entry::Ended(*label, *way));
        let live = live.claims().map(|claim| Entry::Granted(*claim));
        let all = trial.into_iter().chain(former).chain(live).chain(cuts.all().map(Entry::Cut));
        match file.rewrite(all) {
            Ok(()) => store.again = None,
            Err(error) => {
                // Told once, until it has worked again.
                if store.again.is_none() {
                    store.failed = Some(error);
                }
                store.again = Some(now.after(PAUSE));
            }
        }
    }

    /// Nothing is granted, and nothing was.
    pub(super) fn write_nothing(&mut self) {
        self.store.recalled = Recalled::default();
        if let Some(file) = &mut self.store.file
            && let Err(error) = file.clear()
        {
            self.store.failed = Some(error);
        }
    }

    /// What an earlier run has written down, as far as the kernel still has it. What it had open and the
    /// kernel has not was closed or used, and its connections may go on: that is remembered.
    pub(super) fn take_over(&self, seen: &[Element], now: Uptime) -> Adopted {
        let Recalled { live: mut known, mut former, .. } = self.store.recalled.clone();
        let most = self.ceiling.live;
        let mut ended = known.expire(now);
        let is_known = |element: &&Element| is_of(element, &known, now);
        let (ours, others): (Vec<&Element>, Vec<&Element>) = seen.iter().partition(is_known);
        let open: BTreeSet<Door> = ours.into_iter().map(|element| element.door).collect();
        let mut live = Live::default();
        let left = live.adopt(&known, &open, &self.ceiling, now);
        let dropped = left.iter().filter(|(_, door)| open.contains(door)).count();
        let permits = |door: &Door| self.ceiling.permits(door.transport, door.port);
        let forbidden = left.iter().map(|(_, door)| *door).filter(|door| !permits(door)).collect();
        ended.extend(left);
        for (label, door) in ended {
            former.keep(label, door.way(), most, self.ceiling.live_of_one());
        }
        let mut unknown = Unknown::default();
        unknown.extend(others.into_iter().copied(), 0);
        Adopted { live, former, forbidden, dropped, unknown }
    }

    /// What an earlier run has cut.
    pub(super) fn cut_before(&self) -> &Cuts {
        &self.store.recalled.cuts
    }

    /// Somebody else has put these elements into our sets. Those that carry a comment of ours and are
    /// not granted now are removed: they come from a saved ruleset. Of those that are, the time that
    /// they have left is what was granted. Those by hand stay, until the table is put up the next time.
    pub fn put_by_others(&mut self, elements: &[Element], now: Uptime) -> Result<(), Error> {
        self.expire(now);
        let ours = elements.iter().filter(|element| !element.label.is_foreign());
        let (mut put, mut remove) = (Vec::new(), Vec::new());
        for element in ours {
            match self.live.element(&element.door, now) {
                // Whoever has put it there had taken it away, or it was used.
                Some(_) if element.door.single_use => {
                    self.end(&element.door);
                    remove.push(*element);
                }
                Some(granted) => put.push(granted),
                None => remove.push(*element),
            }
        }
        let doors: Vec<Door> = remove.iter().map(|element| element.door).collect();
        match self.firewall.change(&Change { put: &put, remove: &doors, ..Change::default() }) {
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
        self.unknown.extend(remove.into_iter(), 0);
        self.write_down(now);
        Ok(())
    }

    /// Nobody knows which grants for single use were used: they end.
    pub fn end_single_use(&mut self, now: Uptime) {
        let doors = self.live.claims().map(|claim| claim.door).filter(|door| door.single_use);
        let doors: BTreeSet<Door> = doors.collect();
        for door in &doors {
            self.end(door);
        }
        self.write_down(now);
    }

    /// This door is not open any more; what went through it goes on.
    fn end(&mut self, door: &Door) {
        let labels = self.live.forget_door(door);
        self.note(&Entry::ClosedDoor(*door));
        for label in labels {
            self.keep_former(label, door);
            self.note(&Entry::Ended(label, door.way()));
        }
    }
}

/// Whether this element is what `known` has on that door. One for single use that lasts longer than
/// what was granted is a copy: the one that was granted may have been used.
fn is_of(element: &Element, known: &Live, now: Uptime) -> bool {
    let Some(granted) = known.element(&element.door, now) else { return false };
    !element.door.single_use || element.remaining <= granted.remaining + SLACK
}

impl Unknown {
    pub(super) fn extend(&mut self, elements: impl Iterator<Item = Element>, more: usize) {
        self.more += more;
        for element in elements {
            if self.elements.len() < SHOWN {
                self.elements.push(element);
            } else {
                self.more += 1;
            }
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "closed, as nobody was granted it now: {}", self.elements.len() + self.more)?;
        for (index, Element { door, label, .. }) in self.elements.iter().enumerate() {
            let then = if index == 0 { "; " } else { ", " };
            write!(f, "{then}{} ({})", door.way(), label.name)?;
        }
        if self.more > 0 {
            write!(f, ", and {} more", self.more)?;
        }
        Ok(())
    }
}
