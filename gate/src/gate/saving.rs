//! The gate writes down what it grants, and takes over what an earlier one has written down. Elements of
//! the kernel's sets that nobody has written down are not taken over, whatever stands on them: they
//! may come from a ruleset that was saved while they were open, in this boot or another.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::time::Duration;

use super::Gate;
use crate::blocked_flows::BlockedFlows;
use crate::ceiling::ApprovedGrant;
use crate::error::FirewallError;
use crate::expired::ExpiredGrants;
use crate::firewall::Change;
use crate::grant_file::event::SavedEvent;
use crate::grant_file::{GrantFile, SavedGrants};
use crate::grant_key::{GrantElement, GrantKey};
use crate::grants;
use crate::grants::GrantTable;
use crate::uptime::BootInstant;
use sknock_netfilter::flow::FlowKey;

/// After a failure to write, so long until the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// By so much the kernel's timeouts may differ from what was written down.
const SLACK: Duration = Duration::from_secs(1);

/// So many elements are told by name; of the others, how many they are.
const SHOWN: usize = 16;

/// Where grants are written down, and how that goes.
#[derive(Debug, Default)]
pub(super) struct GrantStore {
    file: Option<GrantFile>,
    /// What an earlier run has left, until protection is up.
    pub(super) saved: SavedGrants,
    /// After a failure, when to try again.
    again: Option<BootInstant>,
    failed: Option<io::Error>,
}

/// What is taken over from an earlier run.
pub(super) struct Restored {
    pub(super) live: GrantTable,
    pub(super) expired: ExpiredGrants,
    /// Doors that were open and are forbidden today.
    pub(super) forbidden: Vec<GrantKey>,
    /// How many grants the kernel had open that are not taken over for the ceiling's sake.
    pub(super) dropped: usize,
    pub(super) unknown: UnknownElements,
}

/// Elements that somebody else has put into our sets, and that were removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnknownElements {
    /// The first of them, at most 16.
    pub elements: Vec<GrantElement>,
    /// How many more they were.
    pub more: usize,
}

impl Gate {
    /// Writes down what is granted in `file` from here on. Before anything is put up, what an earlier run
    /// has left there is what the gate takes over of the kernel's elements; without this it takes over
    /// nothing.
    pub fn save_to(&mut self, file: GrantFile, saved: Option<SavedGrants>) {
        self.store.saved = saved.unwrap_or_default();
        self.store.file = Some(file);
    }

    /// Why grants could not be written down, once for each time that it begins: the next gate would not
    /// take them over.
    pub fn save_error(&mut self) -> Option<io::Error> {
        self.store.failed.take()
    }

    /// Elements that were removed since this was last asked, as nobody was granted them.
    pub fn take_unknown(&mut self) -> Option<UnknownElements> {
        (self.unknown != UnknownElements::default()).then(|| std::mem::take(&mut self.unknown))
    }

    pub(super) fn note(&mut self, entry: &SavedEvent) {
        self.store.file.iter_mut().for_each(|file| file.note(entry));
    }

    pub(super) fn note_opening(
        &mut self,
        grant: &ApprovedGrant,
        freed: &[FlowKey],
        now: BootInstant,
    ) {
        if self.store.file.is_some() {
            grants::entries(grant, now).for_each(|entry| self.note(&SavedEvent::Granted(entry)));
            for flow in freed {
                self.note(&SavedEvent::Unblocked(*flow));
            }
        }
    }

    /// Writes what was noted, before anybody is told of it. In quiet times: tries again what has failed.
    pub fn save(&mut self, now: BootInstant) {
        let Some(file) = &mut self.store.file else { return };
        if let Err(error) = file.append() {
            self.store.failed = Some(error);
        }
        let due = file.needs_compaction() && self.store.again.is_none_or(|again| again <= now);
        if due && self.installed {
            self.save_all(now);
        }
    }

    /// Writes down all that there is.
    pub(super) fn save_all(&mut self, now: BootInstant) {
        let Self { store, grants: live, expired, blocked, trial, .. } = self;
        let Some(file) = &mut store.file else { return };
        let trial = trial.as_ref().map(|trial| SavedEvent::Trial(trial.until()));
        let expired = expired.all().map(|(label, flow)| SavedEvent::Ended(*label, *flow));
        let live = live.index().map(|entry| SavedEvent::Granted(*entry));
        let all = trial
            .into_iter()
            .chain(expired)
            .chain(live)
            .chain(blocked.all().map(SavedEvent::Blocked));
        match file.compact(all) {
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
    pub(super) fn save_nothing(&mut self) {
        self.store.saved = SavedGrants::default();
        if let Some(file) = &mut self.store.file
            && let Err(error) = file.clear()
        {
            self.store.failed = Some(error);
        }
    }

    /// What an earlier run has written down, as far as the kernel still has it. What it had open and the
    /// kernel has not was closed or used, and its connections may go on: that is remembered.
    pub(super) fn restore(&self, seen: &[GrantElement], now: BootInstant) -> Restored {
        let SavedGrants { live: mut known, mut expired, .. } = self.store.saved.clone();
        let max = self.ceiling.live;
        let mut ended = known.expire(now);
        let is_known = |element: &&GrantElement| is_of(element, &known, now);
        let (ours, others): (Vec<&GrantElement>, Vec<&GrantElement>) =
            seen.iter().partition(is_known);
        let open: BTreeSet<GrantKey> = ours.into_iter().map(|element| element.grant_key).collect();
        let mut live = GrantTable::default();
        let left = live.restore(&known, &open, &self.ceiling, now);
        let dropped = left.iter().filter(|(_, grant_key)| open.contains(grant_key)).count();
        let permits =
            |grant_key: &GrantKey| self.ceiling.permits(grant_key.transport, grant_key.port);
        let forbidden = left
            .iter()
            .map(|(_, grant_key)| *grant_key)
            .filter(|grant_key| !permits(grant_key))
            .collect();
        ended.extend(left);
        for (label, grant_key) in ended {
            expired.insert(label, grant_key.flow(), max, self.ceiling.live_of_one());
        }
        let mut unknown = UnknownElements::default();
        unknown.extend(others.into_iter().copied(), 0);
        Restored { live, expired, forbidden, dropped, unknown }
    }

    /// What an earlier run has cut.
    pub(super) fn blocked_before(&self) -> &BlockedFlows {
        &self.store.saved.blocked
    }

    /// Somebody else has put these elements into our sets. Those that carry a comment of ours and are
    /// not granted now are removed: they come from a saved ruleset. Of those that are, the time that
    /// they have left is what was granted. Those by hand stay, until the table is put up the next time.
    pub fn report_added_externally(
        &mut self,
        elements: &[GrantElement],
        now: BootInstant,
    ) -> Result<(), FirewallError> {
        self.expire(now);
        let ours = elements.iter().filter(|element| !element.label.is_unlabelled());
        let (mut put, mut remove) = (Vec::new(), Vec::new());
        for element in ours {
            match self.grants.element(&element.grant_key, now) {
                // Whoever has put it there had taken it away, or it was used.
                Some(_) if element.grant_key.single_use => {
                    self.end(&element.grant_key);
                    remove.push(*element);
                }
                Some(granted) => put.push(granted),
                None => remove.push(*element),
            }
        }
        let grant_keys: Vec<GrantKey> = remove.iter().map(|element| element.grant_key).collect();
        match self.firewall.change(&Change { add: &put, remove: &grant_keys, ..Change::default() })
        {
            Err(error) if !error.not_found() => return Err(error),
            _ => {}
        }
        self.unknown.extend(remove.into_iter(), 0);
        self.save(now);
        Ok(())
    }

    /// Nobody knows which grants for single use were used: they end.
    pub fn end_single_use(&mut self, now: BootInstant) {
        let grant_keys = self
            .grants
            .index()
            .map(|entry| entry.grant_key)
            .filter(|grant_key| grant_key.single_use);
        let grant_keys: BTreeSet<GrantKey> = grant_keys.collect();
        for grant_key in &grant_keys {
            self.end(grant_key);
        }
        self.save(now);
    }

    /// This door is not open any more; what went through it goes on.
    fn end(&mut self, grant_key: &GrantKey) {
        let labels = self.grants.remove_key(grant_key);
        self.note(&SavedEvent::ClosedKey(*grant_key));
        for label in labels {
            self.remember_expired(label, grant_key);
            self.note(&SavedEvent::Ended(label, grant_key.flow()));
        }
    }
}

/// Whether this element is what `seed` has on that door. One for single use that lasts longer than
/// what was granted is a copy: the one that was granted may have been used.
fn is_of(element: &GrantElement, known: &GrantTable, now: BootInstant) -> bool {
    let Some(granted) = known.element(&element.grant_key, now) else { return false };
    !element.grant_key.single_use || element.remaining <= granted.remaining + SLACK
}

impl UnknownElements {
    pub(super) fn extend(&mut self, elements: impl Iterator<Item = GrantElement>, more: usize) {
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

impl fmt::Display for UnknownElements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "removed elements without a grant: {}", self.elements.len() + self.more)?;
        for (index, GrantElement { grant_key, label, .. }) in self.elements.iter().enumerate() {
            let then = if index == 0 { "; " } else { ", " };
            write!(f, "{then}{} ({})", grant_key.flow(), label.name)?;
        }
        if self.more > 0 {
            write!(f, ", and {} more", self.more)?;
        }
        Ok(())
    }
}
