//! The table `inet sknock` in the kernel, and nothing else's. What it contains is data: sets, chains and
//! rules. A [`Transaction`](transaction::Transaction) has the kernel make all of its changes or none.

pub mod events;
mod existing;
mod expressions;
mod ffi;
pub mod rule;
pub mod set;
mod text;
pub mod transaction;

use std::ffi::CStr;

use nix::errno::Errno;

use crate::message::about_table;
use crate::socket::Netlink;
use existing::ExistingTable;
use ffi::sets::RawSet;
use rule::Chain;
use set::{Element, SetSpec};
use transaction::Transaction;

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
    // Somebody may change the table while we look, or has put something into it that stays in the way.
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
