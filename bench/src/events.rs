//! What the kernel itself says about changes to its firewall: the moment when a grant counts.
//!
//! A grant's element carries the id of its knock in its comment, so grants are counted by what is in
//! force, whether they came alone or many in one transaction.

use std::collections::HashSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
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
    /// Knocks that have been told of.
    known: HashSet<Id>,
}

/// `k=` and sixteen hexadecimal digits, as a comment has it.
type Id = [u8; 18];

/// `NFNLGRP_NFTABLES` as a bit.
const GROUP: u32 = 1 << (libc::NFNLGRP_NFTABLES - 1);

impl Events {
    /// Listens from now on; [`Self::grants`] waits for `patience` at most.
    pub(crate) fn of(namespace: &Namespace, patience: Duration) -> Self {
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
        Self { socket, buffer: vec![0; 1 << 16], known: HashSet::new() }
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
        let mut found = 0;
        let mut rest = &self.buffer[..length];
        // Type 0, a length, and the text.
        while let Some(at) = rest.windows(4).position(|bytes| matches!(bytes, [0, _, b'k', b'='])) {
            rest = &rest[at + 2..];
            let Some(id) = rest.first_chunk::<{ size_of::<Id>() }>() else { break };
            if id[2..].iter().all(u8::is_ascii_hexdigit) {
                found += usize::from(self.known.insert(*id));
            }
        }
        found
    }
}
