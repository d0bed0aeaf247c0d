//! Sends datagrams from any client address, and receives answers.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_tests::World;

use crate::world::GATEWAY;

/// One socket for all client addresses of one IP family.
#[derive(Debug)]
pub(crate) struct Sender {
    socket: UdpSocket,
    gateway: IpAddr,
    to: SockaddrStorage,
}

impl Sender {
    /// In the client's namespace, to the knock port; [`Self::hears`] waits for `patience` at most.
    pub(crate) fn of(world: &World, patience: Duration) -> Self {
        Self::to(world, GATEWAY, patience)
    }

    /// The same to another address of the gateway.
    pub(crate) fn to(world: &World, gateway: IpAddr, patience: Duration) -> Self {
        let any: IpAddr = match gateway {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = world.client.inside(|| UdpSocket::bind((any, 0))).expect("a free port");
        socket.set_read_timeout(Some(patience)).expect("not zero");
        Self { socket, gateway, to: SocketAddr::new(gateway, DEFAULT_KNOCK_PORT).into() }
    }

    /// The same to another port.
    pub(crate) fn towards(mut self, port: u16) -> Self {
        self.to = SocketAddr::new(self.gateway, port).into();
        self
    }

    /// Sends `bytes` from `source`; returns whether the kernel accepted it.
    pub(crate) fn send(&self, bytes: &[u8], source: impl Into<IpAddr>) -> bool {
        self.post(bytes, source.into(), &self.to)
    }

    /// The same, each datagram to a port of its own.
    pub(crate) fn send_all(&self, datagrams: &[(u16, Vec<u8>)], source: impl Into<IpAddr>) {
        let source = source.into();
        for (port, bytes) in datagrams {
            self.post(bytes, source, &SocketAddr::new(self.gateway, *port).into());
        }
    }

    fn post(&self, bytes: &[u8], source: IpAddr, to: &SockaddrStorage) -> bool {
        let post = |information: ControlMessage<'_>| {
            let (socket, parts) = (self.socket.as_raw_fd(), [IoSlice::new(bytes)]);
            sendmsg(socket, &parts, &[information], MsgFlags::empty(), Some(to)) == Ok(bytes.len())
        };
        match source {
            IpAddr::V4(source) => post(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from(source).to_be() },
                ipi_addr: in_addr { s_addr: 0 },
            })),
            IpAddr::V6(source) => post(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
                ipi6_addr: in6_addr { s6_addr: source.octets() },
                ipi6_ifindex: 0,
            })),
        }
    }

    /// Whether an answer arrived in time.
    pub(crate) fn hears(&self) -> bool {
        self.socket.recv(&mut [0; 128]).is_ok()
    }
}
