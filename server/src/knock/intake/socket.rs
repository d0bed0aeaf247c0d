//! The UDP socket that receives knocks and sends answers. Opened by the privileged process, used by the
//! network process.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage,
    bind, getpeername, getsockname, sendmsg, setsockopt, socket, sockopt,
};

use super::batch::{Batch, DropCounter, Endpoints, Received, SocketPeer};

/// A bound UDP socket, dual-stack if the machine has IPv6, else for IPv4 only.
#[derive(Debug)]
pub struct KnockSocket {
    descriptor: OwnedFd,
    family: SocketFamily,
    port: u16,
    drops: DropCounter,
}

/// Space for 7,000 knocks, a second's work for a fast machine: a knock of 1.2 kB takes 2.3 kB, and the kernel
/// doubles the requested size.
const RECEIVE_BUFFER: usize = 8 << 20;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SocketFamily {
    Both,
    V4,
}

impl KnockSocket {
    /// Binds `port` on every local address. Several sockets may share a port: the kernel distributes sources
    /// over them. [`Self::inherit`] uses it in another process.
    pub fn bind(port: u16) -> io::Result<OwnedFd> {
        let both = unbound(AddressFamily::Inet6).and_then(|descriptor| {
            setsockopt(&descriptor, sockopt::Ipv6V6Only, &false)?;
            setsockopt(&descriptor, sockopt::Ipv6RecvPacketInfo, &true)?;
            bound(descriptor, (Ipv6Addr::UNSPECIFIED, port).into())
        });
        match both {
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => {}
            other => return Ok(other?),
        }
        let descriptor = unbound(AddressFamily::Inet)?;
        setsockopt(&descriptor, sockopt::Ipv4PacketInfo, &true)?;
        Ok(bound(descriptor, (Ipv4Addr::UNSPECIFIED, port).into())?)
    }

    /// Whether a socket that [`Self::bind`] made is unchanged, or could be restored, whatever its readers did
    /// to it. They cannot have attached filters: those are locked. If not, another must be bound.
    pub fn restore(socket: BorrowedFd<'_>) -> bool {
        // A connected socket receives only from its peer, and nothing after a shutdown.
        let connected = getpeername::<SockaddrStorage>(socket.as_raw_fd());
        let ended = PollFlags::from_bits_retain(libc::POLLRDHUP);
        let mut polled = [PollFd::new(socket, ended)];
        let shut = poll(&mut polled, PollTimeout::ZERO);
        // Of the options that seccomp permits to the network process, these change what is received: with
        // them a receive of an unconnected socket fails by ICMP errors (ip(7), IP_RECVERR).
        // Only the option of the socket's own family succeeds.
        let _ = setsockopt(&socket, sockopt::Ipv4RecvErr, &false);
        let _ = setsockopt(&socket, sockopt::Ipv6RecvErr, &false);
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER));
        connected == Err(Errno::ENOTCONN) && shut == Ok(0)
    }

    /// Takes over a socket from [`Self::bind`].
    pub fn inherit(descriptor: OwnedFd) -> io::Result<Self> {
        let name: SockaddrStorage = getsockname(descriptor.as_raw_fd())?;
        let (family, port) = match (name.as_sockaddr_in(), name.as_sockaddr_in6()) {
            (Some(v4), _) => (SocketFamily::V4, v4.port()),
            (None, Some(v6)) => (SocketFamily::Both, v6.port()),
            (None, None) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let drops = DropCounter::of(descriptor.as_fd())?;
        Ok(Self { descriptor, family, port, drops })
    }

    pub(super) fn receive(
        &self,
        batch: &mut Batch,
        mut each: impl FnMut(Received<'_>),
    ) -> io::Result<usize> {
        batch.receive(self.as_fd(), |raw| {
            let SocketPeer::Internet(source) = raw.sender else { return };
            if is_mapped_in_ipv6(source.ip(), raw.destination) {
                return;
            }
            let destination = raw.destination.map(|address| SocketAddr::new(address, self.port));
            each(Received { ends: Endpoints { source, destination }, payload: raw.bytes });
        })
    }

    pub(super) fn lost(&self) -> u32 {
        self.drops.since(self.as_fd())
    }

    /// Sends `bytes` to `target` from the local address `from`, without blocking.
    pub fn send(&self, bytes: &[u8], target: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        let target = SockaddrStorage::from(self.to_socket_family(target));
        let (v4, v6);
        let control = match (self.family, from.map(|address| address.to_canonical())) {
            (SocketFamily::V4, Some(IpAddr::V4(address))) => {
                v4 = libc::in_pktinfo {
                    // With another index the interface's primary address would replace `ipi_spec_dst`
                    // (ip(7)).
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(address).to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                Some(ControlMessage::Ipv4PacketInfo(&v4))
            }
            (SocketFamily::Both, Some(address)) => {
                let s6_addr = mapped(address).octets();
                v6 = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr }, ipi6_ifindex: 0 };
                Some(ControlMessage::Ipv6PacketInfo(&v6))
            }
            _ => None,
        };
        sendmsg(
            self.descriptor.as_raw_fd(),
            &[IoSlice::new(bytes)],
            control.as_slice(),
            MsgFlags::MSG_DONTWAIT,
            Some(&target),
        )?;
        Ok(())
    }

    /// A dual-stack socket uses the v4-mapped form of IPv4 addresses.
    fn to_socket_family(&self, address: SocketAddr) -> SocketAddr {
        match (self.family, address) {
            (SocketFamily::Both, SocketAddr::V4(v4)) => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            _ => address,
        }
    }
}

impl AsFd for KnockSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn unbound(family: AddressFamily) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let descriptor = socket(family, SockType::Datagram, flags, SockProtocol::Udp)?;
    // Other users cannot join: the kernel demands the same effective UID for all sockets of the port
    // (socket(7)).
    setsockopt(&descriptor, sockopt::ReusePort, &true)?;
    // SO_RCVBUFFORCE needs CAP_NET_ADMIN in the initial user namespace; in a container the system's limit
    // applies.
    let _ = setsockopt(&descriptor, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(&descriptor, sockopt::RcvBuf, &RECEIVE_BUFFER));
    sknock_netfilter::socket_option::lock_filter(descriptor.as_fd())?;
    Ok(descriptor)
}

fn bound(descriptor: OwnedFd, local: SocketAddr) -> nix::Result<OwnedFd> {
    bind(descriptor.as_raw_fd(), &SockaddrStorage::from(local))?;
    Ok(descriptor)
}

/// Whether an IPv6 packet came from a v4-mapped address: of an IPv4 packet, both ends are v4-mapped here. See
/// [`SkippedPacket::Mapped`](super::packet::SkippedPacket::Mapped).
fn is_mapped_in_ipv6(source: IpAddr, destination: Option<IpAddr>) -> bool {
    let is_v4 = |address: IpAddr| address.to_canonical().is_ipv4();
    is_v4(source) && destination.is_some_and(|destination| !is_v4(destination))
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}
