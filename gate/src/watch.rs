//! Notices when somebody else changes our table: `nft flush ruleset` would otherwise leave every
//! protected port open to everyone.

use std::os::fd::BorrowedFd;

use libc::c_int;

use crate::nft::message::NetlinkMessage;
use crate::nft::socket::Netlink;
use crate::nft::{self, TABLE};
use crate::{GrantElement, GrantKey, GrantSet};

/// The kernel's group for changes to `nf_tables`, as a bit (`NFNLGRP_NFTABLES` is 7).
const GROUP: u32 = 1 << (libc::NFNLGRP_NFTABLES - 1);

/// A subscription to changes of the firewall in this network namespace. Made by
/// [`Firewall::watch`](crate::Firewall::watch).
#[derive(Debug)]
pub struct Watch {
    netlink: Netlink,
}

impl Watch {
    pub(crate) fn open(own: u32) -> nix::Result<Self> {
        let netlink = Netlink::open(GROUP)?;
        // A grant causes two events, a large table more than a socket keeps.
        netlink.filter_own_events(own)?;
        Ok(Self { netlink })
    }

    /// Readable when there is something to [`Watch::read`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.netlink.fd()
    }

    /// Reads what anyone but our own gate has done to the table, without waiting.
    pub fn read(&mut self) -> Changes {
        let mut changes = Changes::default();
        let read = self.netlink.receive_bytes(|bytes| {
            let Some(message) = NetlinkMessage::read(bytes) else { return };
            if message.is_about(TABLE) {
                changes.structure_changed |= is_structural(&message);
                changes.deleted.extend(closed(&message, bytes));
                changes.added.extend(put(&message, bytes));
            }
        });
        changes.overrun = read.is_err();
        changes
    }
}

/// What others have done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Whether they changed the table, its chains, rules or sets. Then
    /// [`Gate::reinstall`](crate::Gate::reinstall).
    pub structure_changed: bool,
    /// Whether there were more changes than could be told of: anything may have happened. Then
    /// [`Gate::missing`](crate::Gate::missing) doors were closed, and it is never wrong to reassert.
    pub overrun: bool,
    /// Doors that they closed: whoever does that by hand means it. For
    /// [`Gate::handle_external_deletes`](crate::Gate::handle_external_deletes), before anything is reasserted.
    pub deleted: Vec<GrantKey>,
    /// Elements that they put into the sets of doors. For
    /// [`Gate::report_added_externally`](crate::Gate::report_added_externally), after the closed ones.
    pub added: Vec<GrantElement>,
}

/// The doors that were closed, if that is what the message says.
fn closed(message: &NetlinkMessage<'_>, bytes: &[u8]) -> Vec<GrantKey> {
    let set = keys_of(message, libc::NFT_MSG_DELSETELEM);
    set.map(|set| nft::grant_keys(set, bytes)).unwrap_or_default()
}

/// The elements that were added, if that is what the message says.
fn put(message: &NetlinkMessage<'_>, bytes: &[u8]) -> Vec<GrantElement> {
    let set = keys_of(message, libc::NFT_MSG_NEWSETELEM);
    set.map(|set| nft::elements(set, bytes)).unwrap_or_default()
}

/// Which set of doors this message is about, if it is this event.
fn keys_of(message: &NetlinkMessage<'_>, event: c_int) -> Option<GrantSet> {
    let is_named = |set: &GrantSet| message.set() == Some(set.name().to_bytes_with_nul());
    GrantSet::ALL.into_iter().filter(|_| message.event() == Some(event)).find(is_named)
}

fn is_structural(message: &NetlinkMessage<'_>) -> bool {
    const ELEMENTS: [c_int; 2] = [libc::NFT_MSG_NEWSETELEM, libc::NFT_MSG_DELSETELEM];
    const GENERATION: c_int = libc::NFT_MSG_NEWGEN;
    message.event().is_some_and(|event| event != GENERATION && !ELEMENTS.contains(&event))
}
