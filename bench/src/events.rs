//! What the kernel itself says about changes to its firewall: the moment when a grant counts.
//!
//! A grant's element carries the id of its knock in its comment, so grants are counted by what is in
//! force, whether they came alone or many in one transaction. Others who open doors give a rule or an
//! element to each knock: there the kernel's messages are counted.

use std::collections::HashSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use sknock_tests::Namespace;

/// A subscription to the changes of one namespace's firewall.
#[derive(Debug)]
pub(crate) struct Events {
    socket: OwnedFd,
    buffer: Vec<u8>,
    counted: Counted,
}

/// What is counted as a grant.
#[derive(Debug)]
enum Counted {
    /// Different knocks that have been told of.
    Knocks(HashSet<Id>),
    /// Messages of this type.
    Messages(c_int),
}

/// `k=` and sixteen hexadecimal digits, as a comment has it.
type Id = [u8; 18];

/// `NFNLGRP_NFTABLES` as a bit.
const GROUP: u32 = 1 << (libc::NFNLGRP_NFTABLES - 1);

impl Events {
    /// Listens to sKnock from now on; [`Self::grants`] waits for `patience` at most.
    pub(crate) fn of(namespace: &Namespace, patience: Duration) -> Self {
        Self::counting(Counted::Knocks(HashSet::new()), namespace, patience)
    }

    /// Listens to somebody who adds a rule for each knock.
    pub(crate) fn of_rules(namespace: &Namespace, patience: Duration) -> Self {
        Self::counting(Counted::Messages(libc::NFT_MSG_NEWRULE), namespace, patience)
    }

    /// Listens to somebody who adds an element for each knock.
    pub(crate) fn of_elements(namespace: &Namespace, patience: Duration) -> Self {
        Self::counting(Counted::Messages(libc::NFT_MSG_NEWSETELEM), namespace, patience)
    }

    fn counting(counted: Counted, namespace: &Namespace, patience: Duration) -> Self {
        let socket = namespace.inside(|| {
            let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
            socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)
        });
        let socket = socket.expect("the kernel has nf_tables");
        // Room for every event of a run: none may be lost while the bench sends.
        setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).expect("we are root");
        let patience = i64::try_from(patience.as_micros()).expect("a patience of seconds");
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::microseconds(patience))
            .expect("a plain option");
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP)).expect("we are root");
        Self { socket, buffer: vec![0; 1 << 16], counted }
    }

    /// Waits for grants that have come into force, and says how many; none if there were none in time.
    /// The kernel tells of them when they already count.
    pub(crate) fn grants(&mut self) -> usize {
        self.read(MsgFlags::empty())
    }

    /// The same without waiting: whoever waits has to be woken, at the cost of who grants.
    pub(crate) fn grants_so_far(&mut self) -> usize {
        std::iter::repeat_with(|| self.read(MsgFlags::MSG_DONTWAIT))
            .take_while(|&new| new > 0)
            .sum()
    }

    /// Reads until it finds a grant.
    fn read(&mut self, flags: MsgFlags) -> usize {
        loop {
            match recv(self.socket.as_raw_fd(), &mut self.buffer, flags) {
                Ok(length) => match self.learn(length) {
                    0 => {}
                    some => return some,
                },
                Err(Errno::EAGAIN) => return 0,
                Err(error) => panic!("events are lost: {error}"),
            }
        }
    }

    fn learn(&mut self, length: usize) -> usize {
        let found = messages(&self.buffer[..length]);
        match &mut self.counted {
            // A grant that takes the place of another: the event of the other's end names it as well.
            Counted::Knocks(known) => found
                .filter(|(kind, _)| *kind == libc::NFT_MSG_NEWSETELEM)
                .flat_map(|(_, body)| ids(body))
                .filter(|id| known.insert(*id))
                .count(),
            Counted::Messages(wanted) => found.filter(|(kind, _)| kind == wanted).count(),
        }
    }
}

/// The ids in comments: type 0, a length, and the text.
fn ids(mut rest: &[u8]) -> impl Iterator<Item = Id> {
    let next = move || {
        let at = rest.windows(4).position(|bytes| matches!(bytes, [0, _, b'k', b'=']))?;
        rest = &rest[at + 2..];
        rest.first_chunk::<{ size_of::<Id>() }>().copied()
    };
    std::iter::from_fn(next).filter(|id| id[2..].iter().all(u8::is_ascii_hexdigit))
}

/// Each message: its type, without the part that says that it is of nftables, and all of it. It begins
/// with its length and its type, and is padded to four bytes.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = (c_int, &[u8])> {
    std::iter::from_fn(move || {
        let &[a, b, c, d, low, high, ..] = rest else { return None };
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?.max(16);
        let message = rest.get(..length).unwrap_or(rest);
        rest = rest.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
        Some((c_int::from(u16::from_ne_bytes([low, high]) & 0xff), message))
    })
}
