//! Sends datagrams from any address of the crowd, and hears what comes back.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_tests::World;
use std::io::IoSlice;

use crate::world::GATEWAY;

/// One socket for the whole crowd.
#[derive(Debug)]
pub(crate) struct Sender {
    socket: UdpSocket,
    to: SockaddrStorage,
}

impl Sender {
    /// In the client's namespace; [`Self::hears`] waits for `patience` at most.
    pub(crate) fn of(world: &World, patience: Duration) -> Self {
        let socket = world.client.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)));
        let socket = socket.expect("a free port");
        socket.set_read_timeout(Some(patience)).expect("not zero");
        Self { socket, to: SocketAddr::new(GATEWAY, DEFAULT_KNOCK_PORT).into() }
    }

    /// Sends `bytes` from `source`; says whether the kernel took it.
    pub(crate) fn send(&self, bytes: &[u8], source: Ipv4Addr) -> bool {
        let information = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from(source).to_be() },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(bytes)],
            &[ControlMessage::Ipv4PacketInfo(&information)],
            MsgFlags::empty(),
            Some(&self.to),
        );
        sent == Ok(bytes.len())
    }

    /// Whether anything came back in time.
    pub(crate) fn hears(&self) -> bool {
        self.socket.recv(&mut [0; 128]).is_ok()
    }
}
