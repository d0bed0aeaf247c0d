//! Builds and parses IP packets that no normal program sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Flags of TCP (RFC 9293, 3.1).
pub const FIN: u8 = 1;
/// Begins a connection.
pub const SYN: u8 = 2;
/// Ends it at once.
pub const RST: u8 = 4;
/// Has data that should be read.
pub const PSH: u8 = 8;
/// The acknowledgment number is valid.
pub const ACK: u8 = 16;
/// The urgent pointer is valid.
pub const URG: u8 = 32;
/// ECN echo (RFC 3168).
pub const ECE: u8 = 64;
/// Congestion window reduced.
pub const CWR: u8 = 128;

/// IP protocol numbers.
pub const ICMP: u8 = 1;
/// IGMP.
pub const IGMP: u8 = 2;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP for IPv6.
pub const ICMPV6: u8 = 58;

/// The content of a TCP packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segment<'d> {
    /// One bit each.
    pub flags: u8,
    /// The number of its first byte.
    pub sequence: u32,
    /// The number of the byte that is expected next.
    pub acknowledged: u32,
    /// Its payload.
    pub data: &'d [u8],
}

/// A packet that was read. Ports and numbers are 0 where the protocol has none.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Source.
    pub from: SocketAddr,
    /// Destination.
    pub to: SocketAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// TCP's flags.
    pub flags: u8,
    /// TCP's sequence number.
    pub sequence: u32,
    /// TCP's acknowledged number.
    pub acknowledged: u32,
    /// All that follows the IP header.
    pub payload: Vec<u8>,
}

/// A TCP packet with right checksums.
pub fn tcp(from: SocketAddr, to: SocketAddr, segment: &Segment<'_>) -> Vec<u8> {
    let mut bytes = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    bytes.extend(segment.sequence.to_be_bytes());
    bytes.extend(segment.acknowledged.to_be_bytes());
    // Five words of header, the flags, a window, no checksum yet, nothing urgent.
    bytes.extend([5 << 4, segment.flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    bytes.extend(segment.data);
    carry(from.ip(), to.ip(), TCP, Some(16), bytes)
}

/// A UDP datagram with right checksums.
pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("it fits a packet");
    let mut bytes = [from.port(), to.port(), length, 0].map(u16::to_be_bytes).concat();
    bytes.extend(payload);
    carry(from.ip(), to.ip(), UDP, Some(6), bytes)
}

/// Any payload in an IP packet; `checksum` is where the payload has one that covers the addresses.
pub fn carry(
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    checksum: Option<usize>,
    mut payload: Vec<u8>,
) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("it fits a packet");
    if let Some(at) = checksum {
        let pseudo = [octets(from), octets(to), vec![0, protocol], length.to_be_bytes().to_vec()];
        let sum = sum(&[pseudo.concat(), payload.clone()].concat()).to_be_bytes();
        payload[at..at + 2].copy_from_slice(&sum);
    }
    let mut packet = match from {
        IpAddr::V4(_) => {
            let total = (length + 20).to_be_bytes();
            vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0]
        }
        IpAddr::V6(_) => {
            // A hop limit of 255, which neighbours insist on.
            let length = length.to_be_bytes();
            vec![0x60, 0, 0, 0, length[0], length[1], protocol, 255]
        }
    };
    packet.extend(octets(from));
    packet.extend(octets(to));
    if from.is_ipv4() {
        let sum = sum(&packet).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
    }
    [packet, payload].concat()
}

impl Packet {
    /// Reads a packet without its link's header; `None` if it is not IP.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (from, to, protocol, payload): (IpAddr, IpAddr, u8, &[u8]) = match bytes.first()? >> 4 {
            4 => {
                let [from, to] = [12, 16].map(|at| bytes.get(at..at + 4));
                let [from, to] = [from?, to?].map(|four| <[u8; 4]>::try_from(four).expect("four"));
                let header = usize::from(bytes[0] & 15) * 4;
                let end = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
                let payload = bytes.get(header..end)?;
                (Ipv4Addr::from(from).into(), Ipv4Addr::from(to).into(), bytes[9], payload)
            }
            6 => {
                let [from, to] = [8, 24].map(|at| bytes.get(at..at + 16));
                let [from, to] = [from?, to?].map(|all| <[u8; 16]>::try_from(all).expect("16"));
                (Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into(), bytes[6], &bytes[40..])
            }
            _ => return None,
        };
        let has_ports = [TCP, UDP].contains(&protocol);
        let port = |at: usize| if has_ports { number(payload, at) >> 16 } else { 0 };
        let word = |at: usize| if protocol == TCP { number(payload, at) } else { 0 };
        let of = |address, port| SocketAddr::new(address, u16::try_from(port).expect("16 bits"));
        Some(Self {
            from: of(from, port(0)),
            to: of(to, port(2)),
            protocol,
            flags: word(12).to_be_bytes()[1],
            sequence: word(4),
            acknowledged: word(8),
            payload: payload.to_vec(),
        })
    }

    /// Whether it agrees to a connection.
    pub fn is_syn_ack(&self) -> bool {
        self.protocol == TCP && self.flags & (SYN | ACK | RST) == SYN | ACK
    }

    /// Whether it reports a closed port: a reset, or "port unreachable" of either ICMP.
    pub fn is_refusal(&self) -> bool {
        match self.protocol {
            TCP => self.flags & RST != 0,
            ICMP => self.payload.starts_with(&[3, 3]),
            ICMPV6 => self.payload.starts_with(&[1, 4]),
            _ => false,
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Four bytes at `at`, zeros where there is nothing.
fn number(bytes: &[u8], at: usize) -> u32 {
    let byte = |at| bytes.get(at).copied().unwrap_or_default();
    u32::from_be_bytes([at, at + 1, at + 2, at + 3].map(byte))
}

/// The checksum of IP, TCP, UDP and ICMP (RFC 1071).
pub fn sum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| (*low).into()));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("16 bits are left")
}
