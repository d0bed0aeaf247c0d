//! Raw sockets: packets leave as they are, and whatever arrives is seen as it is.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::answer;
use crate::Namespace;
use crate::wait::Limit;

/// The network, as a namespace sees it.
#[derive(Debug)]
pub struct Wire {
    // Methods of std's socket are what they all need; none of them is one of UDP.
    v4: UdpSocket,
    v6: UdpSocket,
    seen: UdpSocket,
}

impl Wire {
    /// Begins to look.
    pub fn new(namespace: &Namespace) -> Self {
        let open = |family, kind, protocol| {
            let made = socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol);
            UdpSocket::from(made.expect("raw sockets take root"))
        };
        namespace.inside(|| Self {
            v4: open(AddressFamily::Inet, SockType::Raw, SockProtocol::Raw),
            v6: open(AddressFamily::Inet6, SockType::Raw, SockProtocol::Raw),
            seen: open(AddressFamily::Packet, SockType::Datagram, SockProtocol::EthAll),
        })
    }

    /// Sends a whole packet, with its IP header, to the next hop of `to`.
    #[track_caller]
    pub fn send(&self, packet: &[u8], to: IpAddr) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let sent = socket.send_to(packet, SocketAddr::new(to, 0));
        assert_eq!(sent.expect("a route, and room"), packet.len());
    }

    /// Sends a packet of `from` to `to`; what comes back, if that is within `patience`.
    #[track_caller]
    pub fn ask(
        &self,
        packet: &[u8],
        from: (IpAddr, u16),
        to: (IpAddr, u16),
        patience: Duration,
    ) -> Option<Vec<u8>> {
        self.send(packet, to.0);
        let limit = Limit::new(patience);
        let mut buffer = vec![0; 1 << 16];
        while !limit.is_over() {
            let wait = limit.left().max(Duration::from_millis(1));
            self.seen.set_read_timeout(Some(wait)).expect("not zero");
            match self.seen.recv(&mut buffer) {
                Ok(length) if answer::is_to(&buffer[..length], from, to) => {
                    return Some(buffer[..length].to_vec());
                }
                Ok(_) => {}
                Err(error) => {
                    let silent =
                        [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
                    assert!(silent.contains(&error.kind()), "{error}");
                }
            }
        }
        None
    }
}
