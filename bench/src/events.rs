//! nftables events of the kernel: the moment when a grant is in force.
//!
//! A grant's element contains its knock id in the comment, so grants are counted individually, also when many
//! are in one transaction. Other daemons add a rule or an element for each knock: there the kernel's messages
//! are counted.

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

/// A subscription to the nftables events of one namespace.
#[derive(Debug)]
pub(crate) struct Events {
    socket: OwnedFd,
    buffer: Vec<u8>,
    counted: Counted,
}

/// The unit of counting.
#[derive(Debug)]
enum Counted {
    /// Distinct knock ids.
    Knocks(HashSet<Id>),
    /// Messages of this type.
    Messages(c_int),
}

/// `k=` and sixteen hexadecimal digits, as in a comment.
type Id = [u8; 18];

/// `NFNLGRP_NFTABLES` as a bit.
const GROUP: u32 = 1 << (libc::NFNLGRP_NFTABLES - 1);

impl Events {
    /// Subscribes to sKnock's grants; [`Self::grants`] waits for `patience` at most.
    pub(crate) fn of(namespace: &Namespace, patience: Duration) -> Self {
        Self::counting(Counted::Knocks(HashSet::new()), namespace, patience)
    }

    /// Subscribes to a daemon that adds a rule for each knock.
    pub(crate) fn of_rules(namespace: &Namespace, patience: Duration) -> Self {
        Self::counting(Counted::Messages(libc::NFT_MSG_NEWRULE), namespace, patience)
    }

    /// Subscribes to a daemon that adds an element for each knock.
    pub(crate) fn of_elements(namespace: &Namespace, patience: Duration) -> Self {
        Self::counting(Counted::Messages(libc::NFT_MSG_NEWSETELEM), namespace, patience)
    }

    fn counting(counted: Counted, namespace: &Namespace, patience: Duration) -> Self {
        let socket = namespace.inside(|| {
            let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
            socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)
        });
        let socket = socket.expect("the kernel has nf_tables");
        // Space for every event of a run: none may be lost while the bench sends.
        setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).expect("we are root");
        let patience = i64::try_from(patience.as_micros()).expect("a patience of seconds");
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::microseconds(patience))
            .expect("a plain option");
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP)).expect("we are root");
        Self { socket, buffer: vec![0; 1 << 16], counted }
    }

    /// Waits for grants that have come into force, and returns their number; 0 after the time limit. The
    /// kernel sends the events after the commit.
    pub(crate) fn grants(&mut self) -> usize {
        self.read(MsgFlags::empty())
    }

    /// The same without waiting: waking a waiting thread would cost the granting process time.
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
            // When a grant replaces another, the removal event contains its id as well.
            Counted::Knocks(known) => found
                .filter(|(kind, _)| *kind == libc::NFT_MSG_NEWSETELEM)
                .flat_map(|(_, body)| ids(body))
                .filter(|id| known.insert(*id))
                .count(),
            Counted::Messages(wanted) => found.filter(|(kind, _)| kind == wanted).count(),
        }
    }
}

/// The knock ids in comments: type 0, a length, and the text.
fn ids(mut rest: &[u8]) -> impl Iterator<Item = Id> {
    let next = move || {
        let at = rest.windows(4).position(|bytes| matches!(bytes, [0, _, b'k', b'=']))?;
        rest = &rest[at + 2..];
        rest.first_chunk::<{ size_of::<Id>() }>().copied()
    };
    std::iter::from_fn(next).filter(|id| id[2..].iter().all(u8::is_ascii_hexdigit))
}

/// The messages: type without the subsystem, and whole content. Each begins with length and type, and is
/// padded to four bytes.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = (c_int, &[u8])> {
    std::iter::from_fn(move || {
        let &[a, b, c, d, low, high, ..] = rest else { return None };
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?.max(16);
        let message = rest.get(..length).unwrap_or(rest);
        rest = rest.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
        Some((c_int::from(u16::from_ne_bytes([low, high]) & 0xff), message))
    })
}
