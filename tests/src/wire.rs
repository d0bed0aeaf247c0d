//! One end of a veth pair, used by the test: it injects any frame, and sees every frame that arrives.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto,
    setsockopt, socket, sockopt,
};

use crate::ip_packet::Packet;
use crate::wait::some;
use crate::{Namespace, reach};

/// A hardware address.
pub type Mac = [u8; 6];

/// To all on the cable.
pub const EVERYBODY: Mac = [0xff; 6];

/// Ports for which the kernel sends nothing by itself: packets to them would otherwise be reset.
pub const QUIET: std::ops::RangeInclusive<u16> = 20_000..=31_999;

/// The length of Ethernet's header.
const HEADER: usize = 14;

/// What the kernel marks our own frames with.
const OUTGOING: u8 = 4;

/// One end of a cable.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    link: LinkAddr,
    own: Mac,
    /// The other end's hardware address.
    pub peer: Mac,
}

impl Wire {
    /// The cable on which `from` reaches its neighbour `to`. The kernel of `from` is silent on
    /// [`QUIET`] ports from now on.
    #[track_caller]
    pub fn new(from: &Namespace, to: IpAddr) -> Self {
        let range = format!("{}-{}", QUIET.start(), QUIET.end());
        from.nft(&format!(
            "table inet quiet {{
                chain output {{
                    type filter hook output priority -400
                    tcp sport {range} drop
                    icmp type destination-unreachable drop
                    icmpv6 type destination-unreachable drop
                }}
            }}"
        ));
        Self::another(from, to)
    }

    /// One more on a cable that [`Self::new`] has had.
    #[track_caller]
    pub fn another(from: &Namespace, to: IpAddr) -> Self {
        let opened = from.inside(|| {
            let raw = SockType::Raw;
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            socket(AddressFamily::Packet, raw, flags, SockProtocol::EthAll)
        });
        let socket = opened.expect("root may");
        // A flood of answers fits.
        setsockopt(&socket, sockopt::RcvBufForce, &(8 << 20)).expect("root may");
        let udp = reach::udp_socket(from, SocketAddr::new(to, 9)).expect("it is a neighbour");
        // The frame shows the interface and both hardware addresses, which no safe call returns.
        udp.send(b"where are you?").expect("it is a neighbour");
        let (link, frame) = some("our own frame", || {
            let (link, frame) = receive(&socket)?;
            let packet = Packet::read(&frame[HEADER..])?;
            let ours = link.pkttype() == OUTGOING && packet.to == SocketAddr::new(to, 9);
            ours.then_some((link, frame))
        });
        let mac = |at: usize| frame[at..at + 6].try_into().expect("six bytes");
        Self { socket, link, own: mac(6), peer: mac(0) }
    }

    /// Sends an IP packet to the other end.
    #[track_caller]
    pub fn send(&self, packet: &[u8]) {
        self.send_to(self.peer, packet);
    }

    /// Sends an IP packet in a frame to `mac`.
    #[track_caller]
    pub fn send_to(&self, mac: Mac, packet: &[u8]) {
        let kind: [u8; 2] = if packet[0] >> 4 == 4 { [0x08, 0] } else { [0x86, 0xdd] };
        let frame = [&mac[..], &self.own, &kind, packet].concat();
        let sent = sendto(self.socket.as_raw_fd(), &frame, &self.link, MsgFlags::empty());
        assert_eq!(sent, Ok(frame.len()));
    }

    /// All IP packets that have come out since the last call.
    pub fn heard(&self) -> Vec<Packet> {
        let frames = std::iter::from_fn(|| receive(&self.socket));
        let theirs = frames.filter(|(link, _)| link.pkttype() != OUTGOING);
        theirs.filter_map(|(_, frame)| Packet::read(&frame[HEADER..])).collect()
    }

    /// Waits for a packet as wanted; what comes before it is lost.
    #[track_caller]
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Packet) -> bool) -> Packet {
        some(what, || {
            let mut frames = std::iter::from_fn(|| receive(&self.socket));
            frames.find_map(|(link, frame)| {
                let packet = Packet::read(&frame[HEADER..])?;
                (link.pkttype() != OUTGOING && wanted(&packet)).then_some(packet)
            })
        })
    }

    /// The address that the other end has by its hardware address (RFC 4291, appendix A).
    pub fn link_local_of_peer(&self) -> Ipv6Addr {
        let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0];
        octets[8..11].copy_from_slice(&self.peer[..3]);
        octets[8] ^= 2;
        octets[13..].copy_from_slice(&self.peer[3..]);
        octets.into()
    }
}

/// The next frame, if there is one of Ethernet's size.
fn receive(socket: &OwnedFd) -> Option<(LinkAddr, Vec<u8>)> {
    let mut frame = vec![0; 70_000];
    let (length, link) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame).ok()?;
    frame.truncate(length.max(HEADER));
    Some((link?, frame))
}
