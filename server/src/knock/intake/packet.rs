//! Reads an IP packet as the kernel hands out a copy of it, before it has looked at UDP itself. Pure;
//! whatever the bytes are, it takes them or says why not.
//!
//! Strict where the kernel's own UDP is lenient: a knock is one plain datagram, and anything else
//! that gets through would only be a way to look different to us than to others.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A UDP datagram with its source and destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UdpPacket<'a> {
    /// The address that it claims to come from.
    pub source: SocketAddr,
    /// Its destination.
    pub destination: SocketAddr,
    /// What is in it.
    pub payload: &'a [u8],
}

/// Why a packet is passed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SkippedPacket {
    /// It ends before its headers do, or before they say.
    CutShort,
    /// It is neither IPv4 nor IPv6.
    NotIp,
    /// A header is shorter than its fixed part.
    HeaderLength,
    /// It is a part of a packet. The kernel puts parts together before we see them.
    Fragment,
    /// It is not UDP, or not right behind the IP header.
    NotUdp,
    /// IP and UDP do not agree on where it ends.
    Length,
    /// It was damaged on its way; or in IPv6 it has no checksum.
    Checksum,
    /// No host can have sent it: the kernel's routing, which comes later, throws it away.
    Source,
    /// It is IPv6, from or to a v4-mapped address. On the wire those are nobody's, but the kernel takes them: it
    /// would stand for an IPv4 address that no filter of IPv4 has looked at.
    Mapped,
}

impl fmt::Display for SkippedPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutShort => "truncated",
            Self::NotIp => "neither IPv4 nor IPv6",
            Self::HeaderLength => "header too short",
            Self::Fragment => "fragment",
            Self::NotUdp => "the IP header is not followed by UDP",
            Self::Length => "IP and UDP lengths differ",
            Self::Checksum => "wrong checksum",
            Self::Source => "impossible source address",
            Self::Mapped => "IPv6 with a v4-mapped address",
        })
    }
}

impl std::error::Error for SkippedPacket {}

/// Its number among IP's protocols.
const UDP: u8 = 17;
/// Source port, destination port, length, checksum; two bytes each.
const UDP_HEADER: usize = 8;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
/// "More fragments", and the offset.
const V4_FRAGMENT: u16 = 0x3fff;

/// Reads the packet that begins with the first byte. What follows after its end is ignored.
///
/// # Errors
///
/// Why it is passed over.
pub fn read(bytes: &[u8]) -> Result<UdpPacket<'_>, SkippedPacket> {
    match bytes.first().ok_or(SkippedPacket::CutShort)? >> 4 {
        4 => read_v4(bytes),
        6 => read_v6(bytes),
        _ => Err(SkippedPacket::NotIp),
    }
}

fn read_v4(bytes: &[u8]) -> Result<UdpPacket<'_>, SkippedPacket> {
    let header: &[u8; V4_HEADER] = bytes.first_chunk().ok_or(SkippedPacket::CutShort)?;
    let header_length = usize::from(header[0] & 0xf) * 4;
    let total = usize::from(short(header, 2));
    if header_length < V4_HEADER || total < header_length {
        return Err(SkippedPacket::HeaderLength);
    }
    if short(header, 6) & V4_FRAGMENT != 0 {
        return Err(SkippedPacket::Fragment);
    }
    if header[9] != UDP {
        return Err(SkippedPacket::NotUdp);
    }
    let datagram = bytes.get(header_length..total).ok_or(SkippedPacket::CutShort)?;
    let address = |at| IpAddr::V4(Ipv4Addr::from(field::<4>(header, at)));
    read_udp(datagram, [address(12), address(16)], checksum_v4)
}

fn read_v6(bytes: &[u8]) -> Result<UdpPacket<'_>, SkippedPacket> {
    let (header, rest) = bytes.split_first_chunk::<V6_HEADER>().ok_or(SkippedPacket::CutShort)?;
    if header[6] != UDP {
        return Err(SkippedPacket::NotUdp);
    }
    let datagram = rest.get(..usize::from(short(header, 4))).ok_or(SkippedPacket::CutShort)?;
    let ends = [8, 24].map(|at| Ipv6Addr::from(field::<16>(header, at)));
    if ends.iter().any(|address| address.to_ipv4_mapped().is_some()) {
        return Err(SkippedPacket::Mapped);
    }
    read_udp(datagram, ends.map(IpAddr::V6), checksum_v6)
}

fn read_udp(
    datagram: &[u8],
    [source, destination]: [IpAddr; 2],
    checksum: fn(u16, Sum, Sum) -> bool,
) -> Result<UdpPacket<'_>, SkippedPacket> {
    let (header, payload) =
        datagram.split_first_chunk::<UDP_HEADER>().ok_or(SkippedPacket::CutShort)?;
    if usize::from(short(header, 4)) != datagram.len() {
        return Err(SkippedPacket::Length);
    }
    let pseudo = Sum::of_pseudo_header(source, destination, datagram.len());
    if !checksum(short(header, 6), pseudo, pseudo.with(datagram)) {
        return Err(SkippedPacket::Checksum);
    }
    if !can_send(source) {
        return Err(SkippedPacket::Source);
    }
    Ok(UdpPacket {
        source: SocketAddr::new(source, short(header, 0)),
        destination: SocketAddr::new(destination, short(header, 2)),
        payload,
    })
}

/// In IPv4, zero means none.
fn checksum_v4(given: u16, pseudo: Sum, all: Sum) -> bool {
    given == 0 || checksum_v6(given, pseudo, all)
}

/// A sender on this machine (another network namespace, a container, a virtual machine) leaves the
/// checksum to hardware that there is not. What it leaves in its place is the sum of the pseudo
/// header alone: so long as the packet has not left the machine, nothing can have damaged it.
fn checksum_v6(given: u16, pseudo: Sum, all: Sum) -> bool {
    given != 0 && (all.folded() == 0xffff || given == pseudo.folded())
}

fn can_send(source: IpAddr) -> bool {
    let everyone = matches!(source, IpAddr::V4(v4) if v4.is_broadcast());
    !(source.is_unspecified() || source.is_multicast() || everyone)
}

/// A sum of 16-bit words in one's complement (RFC 1071), not yet folded: it may be taken of 32 bits at
/// a time. Never overflows: a datagram has at most 16384 of these.
#[derive(Clone, Copy)]
struct Sum(u64);

impl Sum {
    /// The addresses, the protocol and the length.
    fn of_pseudo_header(source: IpAddr, destination: IpAddr, length: usize) -> Self {
        let sum = Self(u64::from(UDP) + u64::try_from(length).unwrap_or_default());
        [source, destination].into_iter().fold(sum, |sum, address| match address {
            IpAddr::V4(v4) => sum.with(&v4.octets()),
            IpAddr::V6(v6) => sum.with(&v6.octets()),
        })
    }

    fn with(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        let word = |bytes: &[u8; 4]| u64::from(u32::from_be_bytes(*bytes));
        Self(self.0 + words.iter().map(word).sum::<u64>() + word(&last))
    }

    fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap_or(u16::MAX)
    }
}

fn short(header: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(field(header, at))
}

/// Some bytes of a header of fixed length, within which they lie.
fn field<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| header[at + index])
}
