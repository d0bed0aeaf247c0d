//! Makes the kernel agree: the table `inet sknock`, and nothing else's. One socket, one transaction
//! for each change: all of it happens or none.

mod blocklist;
mod expressions;
mod ffi;
mod key;
pub(crate) mod message;
mod option;
mod present;
pub(crate) mod socket;
mod table;
mod written;

use std::ffi::CStr;
use std::time::Duration;

use nftnl::{Batch, MsgType, ProtoFamily, Table};

use crate::seed::{self, Sockets};
use crate::{
    FirewallError, FlowKey, GrantElement, GrantKey, GrantLabel, GrantSet, Rollback, TableSpec,
    Watch,
};
use ffi::RawSet;
pub use option::lock_filter;
pub(crate) use option::namespace_cookie;
pub(crate) use option::set_no_enobufs;
use present::ExistingChains;
use socket::Netlink;

/// The table's name, in the family `inet`.
pub const TABLE: &CStr = c"sknock";

/// How many elements go into one message, at most. Each takes up to 184 bytes (a 16-byte address,
/// the longest comment) and a message holds them in one attribute of at most 65535.
const ELEMENTS_PER_MESSAGE: usize = 256;

/// The shortest timeout. The kernel counts in jiffies of up to 10 ms, and takes one that it rounds
/// to none as "for ever".
const SHORTEST: Duration = Duration::from_millis(100);

/// A whole table's batch may be a million grants of 184 bytes, and `sendmsg` takes 1024 pages at most
/// (`UIO_MAXIOV`). What of a page is not written takes no memory.
const LARGE_PAGE: u32 = 1 << 20;

/// A grant's batch fits in one page of this size; libnftnl keeps 68 KiB more for a message too long.
const SMALL_PAGE: u32 = 32 * 1024;

/// The doors of `set` in one message of a listing, or in an event, whole and aligned.
pub(crate) fn grant_keys(set: GrantSet, message: &[u8]) -> Vec<GrantKey> {
    ffi::elements(message).iter().filter_map(|raw| GrantKey::from_key(set, &raw.key)).collect()
}

/// The same, with what stands on them.
pub(crate) fn elements(set: GrantSet, message: &[u8]) -> Vec<GrantElement> {
    ffi::elements(message).iter().filter_map(|raw| element(set, raw)).collect()
}

fn element(set: GrantSet, raw: &ffi::RawElement) -> Option<GrantElement> {
    Some(GrantElement {
        grant_key: GrantKey::from_key(set, &raw.key)?,
        remaining: raw.remaining.unwrap_or(Duration::MAX),
        label: GrantLabel::from_userdata(&raw.userdata).unwrap_or_else(GrantLabel::unlabelled),
    })
}

/// The kernel's firewall, as far as it is ours.
#[derive(Debug)]
pub struct Firewall {
    netlink: Netlink,
    sockets: Sockets,
    /// Nothing, if the kernel would not: then no connection is known to be to this host.
    routes: Option<Netlink>,
}

/// What is to be different, all at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// Doors to open, or to replace.
    pub add: &'a [GrantElement],
    /// Doors to close.
    pub remove: &'a [GrantKey],
    /// Ways to cut.
    pub block: &'a [FlowKey],
    /// Ways that are cut no more.
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
        Ok(Self { netlink, sockets: Sockets::open(), routes: Netlink::to_routes().ok() })
    }

    /// Has connections that were there before us tracked, so that they outlive the protection's
    /// beginning; how many were not.
    pub fn track_existing(&mut self) -> Result<usize, FirewallError> {
        seed::track_existing(&mut self.netlink, &mut self.sockets)
    }

    /// Tells of changes that others make to the table.
    pub fn watch(&self) -> Result<Watch, FirewallError> {
        Watch::open(self.netlink.port()).map_err(FirewallError::while_doing("watch the firewall"))
    }

    /// Puts up the whole table with these elements and cuts in it, in place of whatever it was, in one
    /// transaction. Base chains stay, so no packet passes in between (`nft/present.rs`).
    pub fn install(
        &mut self,
        rules: &TableSpec,
        elements: &[GrantElement],
        blocked: &[FlowKey],
    ) -> Result<(), FirewallError> {
        self.replace_table(rules, None, elements, blocked)
    }

    /// The same, but only until the time of the fallback is over: then the kernel itself judges by what
    /// was before.
    pub fn install_on_trial(
        &mut self,
        rules: &TableSpec,
        rollback: Rollback<'_>,
        elements: &[GrantElement],
        blocked: &[FlowKey],
    ) -> Result<(), FirewallError> {
        self.replace_table(rules, Some(&rollback), elements, blocked)
    }

    fn replace_table(
        &mut self,
        rules: &TableSpec,
        rollback: Option<&Rollback<'_>>,
        elements: &[GrantElement],
        blocked: &[FlowKey],
    ) -> Result<(), FirewallError> {
        rules.check()?;
        let present = ExistingChains::list(&mut self.netlink);
        let mut put_up = |present: Option<&ExistingChains>| {
            let mut batch = Batch::with_page_size(LARGE_PAGE);
            table::add(&mut batch, rules, rollback, present);
            for set in GrantSet::ALL {
                add_elements(&mut batch, set, elements, MsgType::Add);
            }
            blocklist::add(&mut batch, blocked, MsgType::Add);
            self.netlink.transact(&batch.finalize())
        };
        // Somebody may change the table while we look, or has put something into it that stays in the way.
        let in_place = present.and_then(|present| put_up(Some(&present)));
        in_place.or_else(|_| put_up(None)).map_err(FirewallError::while_doing("load the table"))
    }

    /// Opens doors that are closed, in one transaction; `EEXIST` if one of them is open after all. A
    /// third of the work of [`Firewall::change`].
    pub fn add(&mut self, new: &[GrantElement]) -> Result<(), FirewallError> {
        if new.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::with_page_size(SMALL_PAGE);
        clear_used(&mut batch, new);
        for set in GrantSet::ALL {
            each_message(set, new, MsgType::Add, |raw| {
                batch.add(&raw.new_elements(), MsgType::Add);
            });
        }
        self.netlink.transact(&batch.finalize()).map_err(FirewallError::while_doing("add grants"))
    }

    /// Makes this change, in one transaction. An element that is there already is
    /// replaced, timeout, comment and all: what may be shortened is the caller's to decide. A set
    /// that is full refuses at once ([`Errno::ENFILE`](nix::errno::Errno)): waiting until the kernel
    /// has collected expired elements would hold up everyone else's knock, and sets have twice the
    /// room that the gate fills.
    pub fn change(&mut self, change: &Change<'_>) -> Result<(), FirewallError> {
        let Change { add: put, remove, block: cut, unblock: unblocked } = *change;
        if change.is_empty() {
            return Ok(());
        }
        let gone = |&grant_key| GrantElement {
            grant_key,
            remaining: SHORTEST,
            label: GrantLabel::unlabelled(),
        };
        let remove: Vec<GrantElement> = remove.iter().map(gone).collect();
        let mut batch = Batch::with_page_size(SMALL_PAGE);
        clear_used(&mut batch, put);
        for set in GrantSet::ALL {
            // Whether an element exists is the kernel's to know (it may have just expired), and adding
            // an existing one means different things to different kernels. After adding, deleting
            // never fails; after deleting, adding makes it what it should be.
            for elements in [put, &remove] {
                add_elements(&mut batch, set, elements, MsgType::Add);
                add_elements(&mut batch, set, elements, MsgType::Del);
            }
            add_elements(&mut batch, set, put, MsgType::Add);
        }
        blocklist::add(&mut batch, cut, MsgType::Add);
        // As above.
        blocklist::add(&mut batch, unblocked, MsgType::Add);
        blocklist::add(&mut batch, unblocked, MsgType::Del);
        self.netlink
            .transact(&batch.finalize())
            .map_err(FirewallError::while_doing("change the grants"))
    }

    /// What is open, by this or an earlier run. Nothing if the table does not exist. An element
    /// without a timeout or without our comment was put there by somebody else: it has "for ever"
    /// left, and nobody holds it.
    ///
    /// The kernel walks a set from its beginning for every 32 KiB that it lists: ten times the
    /// elements take a hundred times as long.
    pub fn dump(&mut self) -> Result<Vec<GrantElement>, FirewallError> {
        self.dump_sets(GrantSet::ALL.into_iter())
    }

    /// As [`Firewall::dump`], of doors for single use only.
    pub fn dump_single_use(&mut self) -> Result<Vec<GrantElement>, FirewallError> {
        self.dump_sets(GrantSet::ALL.into_iter().filter(|set| set.is_single_use()))
    }

    fn dump_sets(
        &mut self,
        sets: impl Iterator<Item = GrantSet>,
    ) -> Result<Vec<GrantElement>, FirewallError> {
        let mut elements = Vec::new();
        for set in sets {
            match self.dump_set(set) {
                Ok(found) => elements.extend(found),
                Err(error) if error.not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(elements)
    }

    /// How long rules on trial are still in force; zero if their time is over. Nothing if none are on
    /// trial.
    pub fn trial(&mut self) -> Result<Option<Duration>, FirewallError> {
        match self.netlink.dump(&RawSet::named(table::TRIAL).dump_request(), ffi::elements) {
            Ok(found) => {
                Ok(Some(found.iter().filter_map(|raw| raw.remaining).max().unwrap_or_default()))
            }
            Err(nix::errno::Errno::ENOENT) => Ok(None),
            Err(errno) => Err(FirewallError::while_doing("list the rules of the trial")(errno)),
        }
    }

    fn dump_set(&mut self, set: GrantSet) -> Result<Vec<GrantElement>, FirewallError> {
        let request = RawSet::named(set.name()).dump_request();
        let found = self
            .netlink
            .dump(&request, ffi::elements)
            .map_err(FirewallError::while_doing("list the grants"))?;
        Ok(found.iter().filter_map(|raw| element(set, raw)).collect())
    }

    /// Whether the table is there.
    pub fn exists(&mut self) -> Result<bool, FirewallError> {
        match self.netlink.ask(&message::table_request(TABLE)) {
            Ok(()) => Ok(true),
            Err(nix::errno::Errno::ENOENT) => Ok(false),
            Err(errno) => Err(FirewallError::while_doing("look for the table")(errno)),
        }
    }

    /// Takes the table down, grants and protection. No error if it is not there.
    pub fn remove(&mut self) -> Result<(), FirewallError> {
        let mut batch = Batch::with_page_size(SMALL_PAGE);
        let table = Table::new(TABLE, ProtoFamily::Inet);
        batch.add(&table, MsgType::Add);
        batch.add(&table, MsgType::Del);
        self.netlink
            .transact(&batch.finalize())
            .map_err(FirewallError::while_doing("remove the table"))
    }
}

fn add_elements(batch: &mut Batch, set: GrantSet, elements: &[GrantElement], what: MsgType) {
    each_message(set, elements, what, |raw| batch.add(&raw.elements(), what));
}

/// A grant for single use that was used a moment ago may be used again, now that it is granted again.
fn clear_used(batch: &mut Batch, put: &[GrantElement]) {
    for (set, used) in [(GrantSet::Single4, table::USED[0]), (GrantSet::Single6, table::USED[1])] {
        // After adding, deleting never fails.
        for what in [MsgType::Add, MsgType::Del] {
            each_message_to(set, used, put, MsgType::Del, |raw| batch.add(&raw.elements(), what));
        }
    }
}

/// Hands over those of `elements` that belong to `set`, as many at once as a message holds.
fn each_message(
    set: GrantSet,
    elements: &[GrantElement],
    what: MsgType,
    each: impl FnMut(&RawSet),
) {
    each_message_to(set, set.name(), elements, what, each);
}

/// The same, to another set with the same keys.
fn each_message_to(
    set: GrantSet,
    name: &'static CStr,
    elements: &[GrantElement],
    what: MsgType,
    mut each: impl FnMut(&RawSet),
) {
    let ours: Vec<&GrantElement> =
        elements.iter().filter(|element| element.grant_key.set() == set).collect();
    for some in ours.chunks(ELEMENTS_PER_MESSAGE) {
        let mut raw = RawSet::named(name);
        for element in some {
            let key = element.grant_key.key();
            match what {
                MsgType::Del => raw.push_key(&key),
                MsgType::Add => {
                    let timeout = element.remaining.max(SHORTEST);
                    raw.push(&key, timeout, &element.label.userdata());
                }
            }
        }
        each(&raw);
    }
}
