//! The table `inet sknock` in the kernel, and nothing else's. What it contains is data: sets, chains and
//! rules. A [`Transaction`] has the kernel make all of its changes or none.

pub mod events;
mod existing;
mod expressions;
mod ffi;
pub mod rule;
pub mod set;
mod text;

use std::ffi::CStr;

use nftnl::{Batch, ChainType, MsgType, Policy, ProtoFamily, Table};
use nix::errno::Errno;

use crate::message::about_table;
use crate::socket::Netlink;
use existing::ExistingTable;
use ffi::sets::{ELEMENTS_PER_MESSAGE, RawSet};
use rule::{Chain, Hook};
use set::{Element, SetSpec};

/// The table's name, in the family `inet`.
pub const TABLE: &CStr = c"sknock";

/// Loads the whole table in place of whatever it was, in one transaction; `elements` adds what is in its
/// sets. Base chains stay, so no packet passes in between (`nft/existing.rs`).
///
/// # Errors
///
/// What the kernel said; then nothing has changed.
pub fn replace(
    netlink: &mut Netlink,
    sets: &[SetSpec],
    chains: &[Chain],
    elements: impl Fn(&mut Transaction),
) -> nix::Result<()> {
    let existing = ExistingTable::list(netlink);
    let mut load = |existing: Option<&ExistingTable>| {
        let mut transaction = Transaction::large();
        transaction.replace_table(sets, chains, existing);
        elements(&mut transaction);
        transaction.commit(netlink)
    };
    // Another program may change the table while we list it, or has added something that blocks the change.
    let in_place = existing.and_then(|existing| load(Some(&existing)));
    in_place.or_else(|_| load(None))
}

/// All elements of a set.
///
/// The kernel walks a set from its beginning for every 32 KiB that it lists: ten times the
/// elements take a hundred times as long.
///
/// # Errors
///
/// `ENOENT`: there is no such set, or no table. `EAGAIN`: the set changed during every attempt.
pub fn list_set(netlink: &mut Netlink, name: &'static CStr) -> nix::Result<Vec<Element>> {
    netlink.dump(&RawSet::named(name).dump_request(), ffi::sets::elements)
}

/// Whether the set of this name has an element with this key. Unlike a listing, other elements may change at any
/// rate.
///
/// # Errors
///
/// What the kernel said.
pub fn contains(netlink: &mut Netlink, name: &'static CStr, key: &[u8]) -> nix::Result<bool> {
    let mut set = RawSet::named(name);
    set.push_key(key);
    match netlink.ask(&set.elements_request()) {
        Ok(()) => Ok(true),
        // No such element, set or table.
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether the table is there.
///
/// # Errors
///
/// What the kernel said.
pub fn exists(netlink: &mut Netlink) -> nix::Result<bool> {
    match netlink.ask(&about_table(libc::NFT_MSG_GETTABLE, TABLE).finish()) {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A whole table's batch may be a million grants of 184 bytes, and `sendmsg` takes 1024 pages at most
/// (`UIO_MAXIOV`). What of a page is not written takes no memory.
const LARGE_PAGE: u32 = 1 << 20;

/// A grant's batch fits in one page of this size; libnftnl keeps 68 KiB more for a message too long.
const SMALL_PAGE: u32 = 32 * 1024;

/// Changes of the table, in the order in which the kernel makes them.
pub struct Transaction(Batch);

impl Transaction {
    /// For changes of some elements.
    pub fn small() -> Self {
        Self(Batch::with_page_size(SMALL_PAGE))
    }

    /// For a whole table, or thousands of elements.
    pub fn large() -> Self {
        Self(Batch::with_page_size(LARGE_PAGE))
    }

    /// Adds these elements. One that is there already is no error, and what becomes of its timeout depends on
    /// the kernel.
    pub fn add(&mut self, set: &'static CStr, elements: impl Iterator<Item = Element>) {
        in_messages(set, elements, RawSet::push, |raw| self.0.add(&raw.elements(), MsgType::Add));
    }

    /// Adds these elements; `EEXIST` if one of them is there already.
    pub fn add_new(&mut self, set: &'static CStr, elements: impl Iterator<Item = Element>) {
        let add = |raw: &RawSet| self.0.add(&raw.new_elements(), MsgType::Add);
        in_messages(set, elements, RawSet::push, add);
    }

    /// Deletes the elements with these keys; `ENOENT` if one of them is not there.
    pub fn delete(&mut self, set: &'static CStr, keys: impl Iterator<Item = Vec<u8>>) {
        let push = |raw: &mut RawSet, key: &Vec<u8>| raw.push_key(key);
        in_messages(set, keys, push, |raw| self.0.add(&raw.elements(), MsgType::Del));
    }

    /// Deletes all elements of a set.
    pub fn flush(&mut self, set: &'static CStr) {
        // To delete no element in particular is to delete all.
        self.0.add(&RawSet::named(set).elements(), MsgType::Del);
    }

    /// Removes the table. No error if it is not there.
    pub fn remove_table(&mut self) {
        let table = Table::new(TABLE, ProtoFamily::Inet);
        // Deleting needs something to delete.
        self.0.add(&table, MsgType::Add);
        self.0.add(&table, MsgType::Del);
    }

    /// Replaces what is there around the base chains that stay; if that is not known, or not possible, the
    /// table is removed and made again.
    fn replace_table(
        &mut self,
        sets: &[SetSpec],
        chains: &[Chain],
        existing: Option<&ExistingTable>,
    ) {
        let (Self(batch), table) = (self, Table::new(TABLE, ProtoFamily::Inet));
        // Deleting needs something to delete.
        batch.add(&table, MsgType::Add);
        if let Some(existing) = existing {
            existing.clear(batch, chains);
        } else {
            batch.add(&table, MsgType::Del);
            batch.add(&table, MsgType::Add);
        }
        for (id, set) in (1..).zip(sets) {
            batch.add(&RawSet::shaped(set).with_id(id).definition(), MsgType::Add);
        }
        // Rules lead to other chains, which must exist.
        let made: Vec<nftnl::Chain<'_>> = chains.iter().map(|one| chain(one, &table)).collect();
        for chain in &made {
            batch.add(chain, MsgType::Add);
        }
        for (made, described) in made.iter().zip(chains) {
            for line in &described.lines {
                let mut rule = nftnl::Rule::new(made);
                expressions::fill(&mut rule, line);
                batch.add(&rule, MsgType::Add);
            }
        }
    }

    /// Has the kernel make these changes.
    ///
    /// # Errors
    ///
    /// What the kernel said; then it has changed nothing. A set that is full refuses at once (`ENFILE`).
    pub fn commit(self, netlink: &mut Netlink) -> nix::Result<()> {
        netlink.transact(&self.0.finalize())
    }
}

/// Hands over these elements of a set, as many at once as a message holds.
fn in_messages<T>(
    set: &'static CStr,
    elements: impl Iterator<Item = T>,
    push: impl Fn(&mut RawSet, &T),
    mut each: impl FnMut(&RawSet),
) {
    let mut elements = elements.peekable();
    while elements.peek().is_some() {
        let mut raw = RawSet::named(set);
        elements.by_ref().take(ELEMENTS_PER_MESSAGE).for_each(|one| push(&mut raw, &one));
        each(&raw);
    }
}

fn chain<'a>(described: &Chain, table: &'a Table) -> nftnl::Chain<'a> {
    let mut chain = nftnl::Chain::new(described.name.to_c(), table);
    if let Some((hook, priority)) = described.hook {
        let hook = match hook {
            Hook::Prerouting => nftnl::Hook::PreRouting,
            Hook::Input => nftnl::Hook::In,
            Hook::Forward => nftnl::Hook::Forward,
            Hook::Output => nftnl::Hook::Out,
            Hook::Postrouting => nftnl::Hook::PostRouting,
        };
        chain.set_type(ChainType::Filter);
        chain.set_hook(hook, priority);
        // Accept: other tables judge what our rules do not end.
        chain.set_policy(Policy::Accept);
    }
    chain
}
