//! Makes the kernel agree with what the gate has decided: which elements, in which order, in the table and in
//! conntrack. What the table contains is in `table_spec`; `sknock_netfilter` encodes it.

mod connections;
pub(crate) mod watch;

use std::time::Duration;

use nix::errno::Errno;
use sknock_netfilter::conntrack::insert::track_existing;
use sknock_netfilter::flow::FlowKey;
use sknock_netfilter::host::TcpSockets;
use sknock_netfilter::nft;
use sknock_netfilter::nft::Transaction;
use sknock_netfilter::nft::set::Element;
use sknock_netfilter::socket::Netlink;

use self::watch::Watch;
use crate::error::FirewallError;
use crate::grant_key::{GrantElement, GrantKey, GrantSet};
use crate::label::GrantLabel;
use crate::table_spec::sets::{
    BLOCKED, KNOCK_TAGS, TAGS_LOADED, TRIAL, USED, blocked_keys, families_for, tag_elements,
};
use crate::table_spec::{Rollback, TableSpec};
use crate::tags::{TagChange, TagElements};

/// The kernel's firewall, as far as it is ours.
#[derive(Debug)]
pub struct Firewall {
    netlink: Netlink,
    sockets: TcpSockets,
    /// Nothing, if the kernel would not: then no connection is known to be to this host.
    routes: Option<Netlink>,
}

/// What is in the sets of a table when it is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableContent<'a> {
    /// What is open.
    pub grants: &'a [GrantElement],
    /// Blocked flows.
    pub blocked: &'a [FlowKey],
    /// Tags of knocks; left out where the rules do not ask for them.
    pub tags: Option<&'a TagElements>,
}

/// What is to be different, all at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// Grants to add, or to replace.
    pub add: &'a [GrantElement],
    /// Grants to close.
    pub remove: &'a [GrantKey],
    /// Flows to block.
    pub block: &'a [FlowKey],
    /// Flows to unblock.
    pub unblock: &'a [FlowKey],
}

impl Change<'_> {
    fn is_empty(&self) -> bool {
        let flows = self.block.len() + self.unblock.len();
        self.add.is_empty() && self.remove.is_empty() && flows == 0
    }
}

impl Firewall {
    /// Opens the socket that every change goes through. Changes nothing.
    pub fn open() -> Result<Self, FirewallError> {
        let netlink =
            Netlink::open(0).map_err(FirewallError::while_doing("open a netlink socket"))?;
        Ok(Self { netlink, sockets: TcpSockets::open(), routes: Netlink::to_routes().ok() })
    }

    /// Has connections that were there before us tracked, so that they outlive the protection's
    /// beginning; how many were not.
    pub fn track_existing(&mut self) -> Result<usize, FirewallError> {
        Ok(track_existing(&mut self.netlink, &mut self.sockets)?)
    }

    /// Tells of changes that others make to the table.
    pub fn watch(&self) -> Result<Watch, FirewallError> {
        Watch::open(self.netlink.port()).map_err(FirewallError::while_doing("watch the firewall"))
    }

    /// Loads the whole table with this in its sets, in place of whatever it was, in one transaction. Base
    /// chains stay, so no packet passes in between.
    pub fn install(
        &mut self,
        rules: &TableSpec,
        content: TableContent<'_>,
    ) -> Result<(), FirewallError> {
        self.replace_table(rules, None, content)
    }

    /// The same, but only until the time of the rollback is over: then the kernel itself judges by what
    /// was before.
    pub fn install_on_trial(
        &mut self,
        rules: &TableSpec,
        rollback: Rollback<'_>,
        content: TableContent<'_>,
    ) -> Result<(), FirewallError> {
        self.replace_table(rules, Some(&rollback), content)
    }

    fn replace_table(
        &mut self,
        rules: &TableSpec,
        rollback: Option<&Rollback<'_>>,
        content: TableContent<'_>,
    ) -> Result<(), FirewallError> {
        rules.check()?;
        let chains = match rollback {
            None => rules.chains(),
            Some(rollback) => rules.chains_on_trial(rollback.previous),
        };
        let sets = rules.sets(rollback.is_some());
        let add_elements = |transaction: &mut Transaction| {
            if let Some(rollback) = rollback {
                transaction.add(TRIAL, families_for(rollback.remaining));
            }
            for set in GrantSet::ALL {
                transaction.add(set.name(), of_set(set, content.grants).map(GrantElement::encode));
            }
            for set in BLOCKED {
                transaction.add(set.name, blocked_keys(set, content.blocked).map(Element::bare));
            }
            if let Some(tags) = content.tags.filter(|_| rules.filters_by_tags()) {
                transaction.add(KNOCK_TAGS, tag_elements(tags));
                transaction.add(TAGS_LOADED, families_for(tags.complete_for));
            }
        };
        nft::replace(&mut self.netlink, &sets, &chains, add_elements)
            .map_err(FirewallError::while_doing("load the table"))
    }

    /// Adds grants that are not there, in one transaction; `EEXIST` if one of them is there after all. A
    /// third of the work of [`Firewall::change`].
    pub fn add(&mut self, new: &[GrantElement]) -> Result<(), FirewallError> {
        if new.is_empty() {
            return Ok(());
        }
        let mut transaction = Transaction::small();
        clear_used(&mut transaction, new);
        for set in GrantSet::ALL {
            transaction.add_new(set.name(), of_set(set, new).map(GrantElement::encode));
        }
        transaction.commit(&mut self.netlink).map_err(FirewallError::while_doing("add grants"))
    }

    /// Makes this change, in one transaction. An element that is there already is
    /// replaced, timeout, comment and all: what may be shortened is the caller's to decide. A set
    /// that is full refuses at once ([`Errno::ENFILE`]): waiting until the kernel
    /// has collected expired elements would hold up everyone else's knock, and sets have twice the
    /// room that the gate fills.
    pub fn change(&mut self, change: &Change<'_>) -> Result<(), FirewallError> {
        let Change { add: put, remove, block, unblock } = *change;
        if change.is_empty() {
            return Ok(());
        }
        let gone = |&grant_key| GrantElement {
            grant_key,
            remaining: Duration::ZERO,
            label: GrantLabel::unlabelled(),
        };
        let remove: Vec<GrantElement> = remove.iter().map(gone).collect();
        let mut transaction = Transaction::small();
        clear_used(&mut transaction, put);
        for set in GrantSet::ALL {
            // Whether an element exists is the kernel's to know (it may have just expired), and adding
            // an existing one means different things to different kernels. After adding, deleting
            // never fails; after deleting, adding makes it what it should be.
            for elements in [put, &remove] {
                transaction.add(set.name(), of_set(set, elements).map(GrantElement::encode));
                transaction.delete(set.name(), of_set(set, elements).map(key));
            }
            transaction.add(set.name(), of_set(set, put).map(GrantElement::encode));
        }
        for set in BLOCKED {
            transaction.add(set.name, blocked_keys(set, block).map(Element::bare));
        }
        for set in BLOCKED {
            // As above.
            transaction.add(set.name, blocked_keys(set, unblock).map(Element::bare));
            transaction.delete(set.name, blocked_keys(set, unblock));
        }
        transaction
            .commit(&mut self.netlink)
            .map_err(FirewallError::while_doing("change the grants"))
    }

    /// Makes this change to the tags, in one transaction. A set that is full refuses at once
    /// ([`Errno::ENFILE`]).
    pub fn change_tags(&mut self, change: &TagChange) -> Result<(), FirewallError> {
        let mut transaction = Transaction::large();
        if change.replace {
            transaction.flush(KNOCK_TAGS);
        }
        // As above: it may have just expired.
        let again = || change.again.iter().map(|tag| tag.to_vec());
        transaction.add(KNOCK_TAGS, again().map(Element::bare));
        transaction.delete(KNOCK_TAGS, again());
        transaction.add(KNOCK_TAGS, tag_elements(&change.new));
        transaction.flush(TAGS_LOADED);
        transaction.add(TAGS_LOADED, families_for(change.new.complete_for));
        transaction
            .commit(&mut self.netlink)
            .map_err(FirewallError::while_doing("load the tags of knocks"))
    }

    /// What is open, by this or an earlier run. Nothing if the table does not exist. An element
    /// without a timeout or without our comment was added by another program: it has "for ever"
    /// left, and no certificate holds it.
    pub fn dump(&mut self) -> Result<Vec<GrantElement>, FirewallError> {
        self.dump_sets(GrantSet::ALL.into_iter())
    }

    /// As [`Firewall::dump`], of grants for single use only.
    pub fn dump_single_use(&mut self) -> Result<Vec<GrantElement>, FirewallError> {
        self.dump_sets(GrantSet::ALL.into_iter().filter(|set| set.is_single_use()))
    }

    fn dump_sets(
        &mut self,
        sets: impl Iterator<Item = GrantSet>,
    ) -> Result<Vec<GrantElement>, FirewallError> {
        let mut elements = Vec::new();
        for set in sets {
            match nft::list_set(&mut self.netlink, set.name()) {
                Ok(listed) => elements.extend(GrantElement::read_all(set, listed)),
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(FirewallError::while_doing("list the grants")(errno)),
            }
        }
        Ok(elements)
    }

    /// Whether a grant for many connections is open on this flow. Asks for one element, so that other grants may
    /// change at any rate.
    pub fn is_open(&mut self, flow: &FlowKey) -> Result<bool, FirewallError> {
        let [many, _] = GrantKey::both_of(flow);
        nft::contains(&mut self.netlink, many.set().name(), &many.key())
            .map_err(FirewallError::while_doing("look for a grant"))
    }

    /// How long rules on trial are still in force; zero if their time is over. Nothing if none are on
    /// trial.
    pub fn trial(&mut self) -> Result<Option<Duration>, FirewallError> {
        match nft::list_set(&mut self.netlink, TRIAL) {
            Ok(found) => {
                Ok(Some(found.iter().filter_map(|raw| raw.remaining).max().unwrap_or_default()))
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(FirewallError::while_doing("list the rules of the trial")(errno)),
        }
    }

    /// Whether the table is there.
    pub fn exists(&mut self) -> Result<bool, FirewallError> {
        nft::exists(&mut self.netlink).map_err(FirewallError::while_doing("look for the table"))
    }

    /// Removes the table, grants and protection. No error if it is not there.
    pub fn remove(&mut self) -> Result<(), FirewallError> {
        let mut transaction = Transaction::small();
        transaction.remove_table();
        transaction
            .commit(&mut self.netlink)
            .map_err(FirewallError::while_doing("remove the table"))
    }
}

fn of_set(set: GrantSet, elements: &[GrantElement]) -> impl Iterator<Item = &GrantElement> {
    elements.iter().filter(move |element| element.grant_key.set() == set)
}

fn key(element: &GrantElement) -> Vec<u8> {
    element.grant_key.key()
}

/// A grant for single use that was used a moment ago may be used again, now that it is granted again.
fn clear_used(transaction: &mut Transaction, put: &[GrantElement]) {
    for (set, used) in [GrantSet::Single4, GrantSet::Single6].into_iter().zip(USED) {
        // After adding, deleting never fails.
        transaction.add(used.name, of_set(set, put).map(key).map(Element::bare));
        transaction.delete(used.name, of_set(set, put).map(key));
    }
}
