//! Parses an IP packet that the kernel copied before its own UDP checks. Pure; never panics.
//!
//! Stricter than the kernel's own UDP: a knock is one plain datagram, and other forms would only allow
//! packets that look different here than to other receivers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A UDP datagram with its source and destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UdpPacket<'a> {
    /// The apparent source address.
    pub source: SocketAddr,
    /// Its destination.
    pub destination: SocketAddr,
    /// The UDP payload.
    pub payload: &'a [u8],
}

/// Reasons why a packet is ignored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SkippedPacket {
    /// It ends before its headers do, or before their length fields state.
    CutShort,
    /// It is neither IPv4 nor IPv6.
    NotIp,
    /// A header is shorter than its fixed part.
    HeaderLength,
    /// It is a fragment. The kernel reassembles packets before it copies them.
    Fragment,
    /// It is not UDP, or UDP does not directly follow the IP header.
    NotUdp,
    /// IP and UDP lengths do not match.
    Length,
    /// The checksum is wrong; or in IPv6 it is missing.
    Checksum,
    /// Its source address is invalid: the kernel's routing, which comes later, drops it.
    Source,
    /// IPv6 from or to a v4-mapped address. Such packets are invalid on the wire, but the kernel accepts
    /// them: the source would be treated as an IPv4 address that no IPv4 filter has checked.
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

/// The IP protocol number of UDP.
const UDP: u8 = 17;
/// Source port, destination port, length, checksum; two bytes each.
const UDP_HEADER: usize = 8;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
/// "More fragments", and the offset.
const V4_FRAGMENT: u16 = 0x3fff;

/// Parses the packet that begins with the first byte. Bytes after its end are ignored.
///
/// # Errors
///
/// The reason why it is ignored.
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

/// In IPv4, zero means that there is no checksum.
fn checksum_v4(given: u16, pseudo: Sum, all: Sum) -> bool {
    given == 0 || checksum_v6(given, pseudo, all)
}

/// A sender on this machine (another network namespace, a container, a virtual machine) leaves the checksum
/// to offloading hardware, which a virtual link lacks. The field then contains the sum of the pseudo header
/// alone; a packet that has not left the machine cannot be damaged.
fn checksum_v6(given: u16, pseudo: Sum, all: Sum) -> bool {
    // A UDP checksum of 0 is forbidden in IPv6 (RFC 8200, 8.1). The sum of data with its own checksum is all
    // ones (RFC 1071).
    given != 0 && (all.folded() == 0xffff || given == pseudo.folded())
}

fn can_send(source: IpAddr) -> bool {
    let everyone = matches!(source, IpAddr::V4(v4) if v4.is_broadcast());
    !(source.is_unspecified() || source.is_multicast() || everyone)
}

/// A sum of 16-bit words in ones' complement (RFC 1071), not yet folded, so it may add 32 bits at a time.
/// Never overflows: a datagram has at most 16384 of these.
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

/// A field of a header of fixed length; it must lie within.
fn field<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| header[at + index])
}
