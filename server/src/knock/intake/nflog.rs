//! Receives knocks without a bound port: the kernel copies them to an NFLOG group, whose socket the
//! privileged process has opened. The packets themselves continue on their way.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect,
    send, setsockopt, socket, sockopt,
};
use sknock_netfilter::nflog::packet_payload;
use tracing::trace;

use super::batch::{Batch, DropCounter, Endpoints, Received, SocketPeer};
use super::packet;

/// A socket that receives copies. Several threads may receive from one.
#[derive(Clone, Debug)]
pub struct NflogSocket {
    descriptor: Arc<OwnedFd>,
    drops: Arc<DropCounter>,
}

impl NflogSocket {
    /// Takes over the socket of a group that another process [bound](sknock_netfilter::nflog::bind_group).
    pub fn inherit(descriptor: OwnedFd) -> io::Result<Self> {
        let drops = Arc::new(DropCounter::of(descriptor.as_fd())?);
        Ok(Self { descriptor: Arc::new(descriptor), drops })
    }

    pub(super) fn receive(
        &self,
        batch: &mut Batch,
        mut each: impl FnMut(Received<'_>),
    ) -> io::Result<usize> {
        batch.receive(self.as_fd(), |raw| {
            // Other local programs may send to a netlink socket.
            let SocketPeer::Kernel = raw.sender else { return };
            let Some(bytes) = packet_payload(raw.bytes) else { return };
            match packet::read(bytes) {
                Ok(packet) => each(Received {
                    ends: Endpoints {
                        source: packet.source,
                        destination: Some(packet.destination),
                    },
                    payload: packet.payload,
                }),
                Err(unfit) => trace!(target: "audit", reason = %unfit, "packet ignored"),
            }
        })
    }

    pub(super) fn lost(&self) -> u32 {
        self.drops.since(self.as_fd())
    }
}

impl AsFd for NflogSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Sends `bytes` to `to` from the address and port to which the knock was sent.
///
/// The port is bound for some microseconds, and connected to this one client: for other senders it remains
/// closed, except between the two system calls. Ports below 1024 cannot be bound without privilege, nor can a
/// port of another program; then the client gets no answer.
pub(super) fn answer(bytes: &[u8], from: SocketAddr, to: SocketAddr) -> io::Result<()> {
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Datagram, flags, SockProtocol::Udp)?;
    // Two threads may answer two clients at the same time.
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(from))?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
    send(socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}
