//! What others change in our table by hand: grants that they close, and elements that they add.

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
use crate::table_spec::block::OnRevoke;
use crate::uptime::BootInstant;

/// So many elements are told by name; of the others, how many they are.
const SHOWN: usize = 16;

/// Elements that somebody else has put into our sets, and that were removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnknownElements {
    /// The first of them, at most 16.
    pub elements: Vec<GrantElement>,
    /// How many more they were.
    pub more: usize,
}

impl Gate {
    /// Somebody else has closed these doors in the kernel, and means it: they do not come back with the
    /// table, and what goes through them ends. Whose they were, and how many each had. Doors that
    /// nobody holds are left out.
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
        let ends = |flow: &FlowKey| {
            self.rules.on_revoke == OnRevoke::Terminate
                && self.is_blockable(flow)
                && !self.grants.is_held(flow, None)
        };
        let flows: BTreeSet<FlowKey> = held.iter().map(GrantKey::flow).filter(ends).collect();
        let flows: Vec<FlowKey> = flows.into_iter().collect();
        // Closed once more, if somebody was let in again before we were told.
        let grant_keys = Change { remove: &held, ..Change::default() };
        match self.block_or_close(&flows, grant_keys) {
            Err(error) if !error.not_found() => return Outcome::Failed(error),
            _ => {}
        }
        self.save(now);
        self.flush_conntrack();
        Outcome::Closed(closed.into_iter().collect())
    }

    /// Doors that should be open and that the kernel does not have, so that somebody must have closed
    /// them. None if the table itself is gone. Those for single use may have been used, and what ends
    /// within a second may have ended.
    pub fn missing(&mut self, now: BootInstant) -> Result<Vec<GrantKey>, FirewallError> {
        if !self.installed || !self.firewall.exists()? {
            return Ok(Vec::new());
        }
        let open: BTreeSet<GrantKey> =
            self.firewall.dump()?.iter().map(|one| one.grant_key).collect();
        let lasting = self.grants.elements(now.after(Duration::from_secs(1)));
        let grant_keys = lasting.into_iter().map(|element| element.grant_key);
        Ok(grant_keys
            .filter(|grant_key| !grant_key.single_use && !open.contains(grant_key))
            .collect())
    }

    /// Elements that were removed since this was last asked, as nobody was granted them.
    pub fn take_unknown(&mut self) -> Option<UnknownElements> {
        (self.unknown != UnknownElements::default()).then(|| std::mem::take(&mut self.unknown))
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
