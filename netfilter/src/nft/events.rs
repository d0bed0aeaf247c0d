//! Events: what others change in the table. The kernel tells of each change when it is made.

use std::os::fd::BorrowedFd;

use libc::c_int;

use super::TABLE;
use super::ffi::sets;
use super::set::Element;
use crate::message::NetlinkMessage;
use crate::socket::Netlink;
use crate::socket_option::filter_own_events;

/// The kernel's group for changes to `nf_tables`, as a bit (`NFNLGRP_NFTABLES` is 7).
const GROUP: u32 = 1 << (libc::NFNLGRP_NFTABLES - 1);

/// A subscription to changes of the table in one network namespace.
#[derive(Debug)]
pub struct EventSocket(Netlink);

/// A change of the table.
pub enum Event<'a> {
    /// Of the table itself, its chains, rules or sets.
    Structure,
    /// Elements were added.
    Added(ChangedElements<'a>),
    /// Elements were deleted.
    Deleted(ChangedElements<'a>),
}

/// Elements that an event is about.
pub struct ChangedElements<'a> {
    /// The name of their set, with its terminator.
    pub set: &'a [u8],
    message: &'a [u8],
}

impl ChangedElements<'_> {
    /// The elements.
    pub fn elements(&self) -> Vec<Element> {
        sets::elements(self.message)
    }
}

impl EventSocket {
    /// Subscribes in the calling thread's network namespace to all changes but those that the socket with
    /// the number `own` makes: a grant causes two events, a large table more than a socket keeps.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn open(own: u32) -> nix::Result<Self> {
        let netlink = Netlink::open(GROUP)?;
        filter_own_events(netlink.fd(), own)?;
        Ok(Self(netlink))
    }

    /// Readable when there is something to [`EventSocket::read`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Hands over all changes that are there, without waiting.
    ///
    /// # Errors
    ///
    /// Events were lost (`ENOBUFS`), or could not be read.
    pub fn read(&mut self, mut each: impl FnMut(Event<'_>)) -> nix::Result<()> {
        self.0.receive(|bytes| {
            let Some(message) = NetlinkMessage::read(bytes) else { return };
            let kind = message.of_subsystem(libc::NFNL_SUBSYS_NFTABLES);
            if let Some(kind) = kind.filter(|_| message.is_about(TABLE))
                && let Some(event) = event(kind, &message, bytes)
            {
                each(event);
            }
        })
    }
}

fn event<'a>(kind: c_int, about: &NetlinkMessage<'a>, message: &'a [u8]) -> Option<Event<'a>> {
    let changed = || Some(ChangedElements { set: about.set()?, message });
    match kind {
        libc::NFT_MSG_NEWSETELEM => changed().map(Event::Added),
        libc::NFT_MSG_DELSETELEM => changed().map(Event::Deleted),
        libc::NFT_MSG_NEWGEN => None,
        // Also messages of later kernels: to load the table once too often does no harm.
        _ => Some(Event::Structure),
    }
}
