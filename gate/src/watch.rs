//! Notices when somebody else changes our table: `nft flush ruleset` would otherwise leave every
//! protected port open to everyone.

use std::os::fd::BorrowedFd;

use libc::c_int;

use crate::nft::TABLE;
use crate::nft::message::Message;
use crate::nft::socket::Netlink;

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
        netlink.hear_others_only(own)?;
        Ok(Self { netlink })
    }

    /// Readable when there is something to ask [`Watch::lost_table`] about.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.netlink.fd()
    }

    /// Reads what happened, without waiting; whether anyone but our own gate changed the table, its
    /// chain, rules or sets. Then [`Gate::reassert`](crate::Gate::reassert). Single elements do not
    /// count: whoever closes a grant by hand means it. Also true if there were more changes than could
    /// be told of; it is never wrong to reassert.
    pub fn lost_table(&mut self) -> bool {
        let mut lost = false;
        let read = self.netlink.receive(|message| {
            lost |= is_structural(message) && message.is_about(TABLE);
        });
        lost || read.is_err()
    }
}

fn is_structural(message: &Message<'_>) -> bool {
    const ELEMENTS: [c_int; 2] = [libc::NFT_MSG_NEWSETELEM, libc::NFT_MSG_DELSETELEM];
    const GENERATION: c_int = libc::NFT_MSG_NEWGEN;
    message.event().is_some_and(|event| event != GENERATION && !ELEMENTS.contains(&event))
}
