//! Changes of our table by other programs: grants that they delete, and elements that they add.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use sknock_netfilter::flow::FlowKey;

use super::Gate;
use crate::cert_id::CertId;
use crate::error::FirewallError;
use crate::firewall::Change;
use crate::grant_file::event::SavedEvent;
use crate::grant_key::{GrantElement, GrantKey};
use crate::outcome::Outcome;
use crate::uptime::BootInstant;

/// The most elements that are logged one by one; of the others, only their number.
const SHOWN: usize = 16;

/// Elements that another program has added to our sets, and that were removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnknownElements {
    /// The first of them, at most 16.
    pub elements: Vec<GrantElement>,
    /// How many more they were.
    pub more: usize,
}

impl Gate {
    /// Another program has deleted these elements, on purpose: they do not come back with the table, and
    /// their connections are terminated. Returns the certificates that had them, and how many each had.
    pub fn handle_external_deletes(
        &mut self,
        grant_keys: &[GrantKey],
        now: BootInstant,
    ) -> Outcome {
        self.expire(now);
        let (mut closed, mut held) = (BTreeMap::<CertId, usize>::new(), Vec::new());
        for grant_key in grant_keys {
            let labels = self.grants.remove_key(grant_key);
            if !labels.is_empty() {
                held.push(*grant_key);
                self.note(&SavedEvent::ClosedKey(*grant_key));
            }
            for label in labels {
                *closed.entry(label.cert).or_default() += 1;
            }
        }
        let free = |flow: &FlowKey| !self.grants.is_held(flow, None);
        let flows: BTreeSet<FlowKey> = held.iter().map(GrantKey::flow).filter(free).collect();
        let flows = self.block_now_or_later(flows);
        // Deleted once more: the same may have been granted again before the event was read.
        let grant_keys = Change { remove: &held, ..Change::default() };
        if let Err(error) = self.block_or_close(&flows, grant_keys) {
            return Outcome::Failed(error);
        }
        self.save(now);
        self.flush_conntrack();
        Outcome::Closed(closed.into_iter().collect())
    }

    /// Grants whose elements the kernel does not have, so that another program must have deleted
    /// them. None if the table itself is gone. Left out are grants for single use, which may have been
    /// used, and those that end within a second.
    pub fn missing(&mut self, now: BootInstant) -> Result<Vec<GrantKey>, FirewallError> {
        if !self.installed || !self.firewall.exists()? {
            return Ok(Vec::new());
        }
        let open: BTreeSet<GrantKey> =
            self.firewall.dump()?.iter().map(|one| one.grant_key).collect();
        // `now` was read before the kernel was asked: an element may have expired in between.
        let lasting = self.grants.elements(now.after(Duration::from_secs(1)));
        let grant_keys = lasting.into_iter().map(|element| element.grant_key);
        Ok(grant_keys
            .filter(|grant_key| !grant_key.single_use && !open.contains(grant_key))
            .collect())
    }

    /// Elements without a grant that were removed since the last call.
    pub fn take_unknown(&mut self) -> Option<UnknownElements> {
        (self.unknown != UnknownElements::default()).then(|| std::mem::take(&mut self.unknown))
    }

    /// Another program has added these elements to our sets. Those with a comment of ours that are not
    /// granted now are removed: they come from a saved ruleset. Those that are granted get the time that
    /// the grant has left. Those without such a comment stay until the table is loaded the next time.
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
                // It was deleted before it was added, or it was used.
                Some(_) if element.grant_key.single_use => {
                    self.end(&element.grant_key);
                    remove.push(*element);
                }
                Some(granted) => put.push(granted),
                None => remove.push(*element),
            }
        }
        let grant_keys: Vec<GrantKey> = remove.iter().map(|element| element.grant_key).collect();
        let change = Change { add: &put, remove: &grant_keys, ..Change::default() };
        FirewallError::unless_gone(self.firewall.change(&change))?;
        self.unknown.extend(remove.into_iter(), 0);
        self.save(now);
        Ok(())
    }

    /// Ends all grants for single use, when it is not known which of them were used.
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

    /// Ends a grant; its connections continue.
    fn end(&mut self, grant_key: &GrantKey) {
        let labels = self.grants.remove_key(grant_key);
        self.note(&SavedEvent::ClosedKey(*grant_key));
        for label in labels {
            self.remember_expired(label, grant_key);
            self.note(&SavedEvent::Ended(label, grant_key.flow()));
        }
    }
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
