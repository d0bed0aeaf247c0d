//! IP packets with every field as one likes, sent without the kernel's help.

mod answer;
mod checksum;
mod wire;

use std::net::IpAddr;

use checksum::{of_transport, plain};

pub use answer::comparable;
pub use wire::Wire;

/// IP protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Header lengths.
const V4: usize = 20;
const V6: usize = 40;

/// A packet but for its ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// TOS of IPv4, traffic class of IPv6.
    pub class: u8,
    /// The flow label of IPv6, 20 bits.
    pub label: u32,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4: "do not fragment".
    pub whole: bool,
    /// IPv4: options, a multiple of four bytes. IPv6: extension headers, each a multiple of eight
    /// bytes; the first byte of the last is set to the transport.
    pub options: Vec<u8>,
    /// IPv6: the number of the first extension header.
    pub extension: u8,
    /// What it carries.
    pub segment: Segment,
    /// The defect of that.
    pub fault: Fault,
}

/// A defect of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Its checksum.
    Checksum,
    /// It has no checksum, which UDP over IPv4 may do without.
    Unsummed,
    /// TCP: the data offset has this number of 4-byte words.
    HeaderWords(u8),
    /// UDP: the packet has bytes behind the datagram.
    Trailing,
    /// UDP: the header says that the datagram is longer than the packet.
    TooLong,
}

/// What a packet carries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Segment {
    /// UDP.
    Udp {
        /// After the header.
        payload: Vec<u8>,
    },
    /// TCP.
    Tcp {
        /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
        flags: u8,
        /// A multiple of four bytes.
        options: Vec<u8>,
        /// After the header.
        payload: usize,
    },
}

impl Packet {
    /// UDP with nothing unusual.
    pub fn udp(payload: Vec<u8>) -> Self {
        Self::new(Segment::Udp { payload })
    }

    /// TCP with these flags and nothing unusual.
    pub fn tcp(flags: u8) -> Self {
        Self::new(Segment::Tcp { flags, options: Vec::new(), payload: 0 })
    }

    fn new(segment: Segment) -> Self {
        let (options, extension) = (Vec::new(), 0);
        let fault = Fault::None;
        Self { class: 0, label: 0, ttl: 64, whole: true, options, extension, segment, fault }
    }

    /// Its bytes, from the IP header on.
    ///
    /// # Panics
    ///
    /// If the addresses are of two families.
    pub fn between(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Vec<u8> {
        let (protocol, mut transport) = self.transport(from.1, to.1);
        match self.fault {
            Fault::HeaderWords(words) => transport[12] = words << 4,
            // Below 256 all the same: no payload of a test ends just there.
            Fault::TooLong => transport[5] += 8,
            _ => {}
        }
        let sum = of_transport(from.0, to.0, protocol, &transport);
        // 0 would mean that there is none.
        let sum = if sum == 0 { 0xffff } else { sum };
        let sum = match self.fault {
            Fault::None | Fault::HeaderWords(_) | Fault::Trailing | Fault::TooLong => sum,
            Fault::Checksum => sum ^ 0x0100,
            Fault::Unsummed => 0,
        };
        let at = if protocol == TCP { 16 } else { 6 };
        transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        if self.fault == Fault::Trailing {
            transport.extend([7; 4]);
        }
        let header = match (from.0, to.0) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                self.v4(protocol, transport.len(), from.octets(), to.octets())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                self.v6(protocol, transport.len(), from.octets(), to.octets())
            }
            _ => panic!("{} and {} are of two families", from.0, to.0),
        };
        [header, transport].concat()
    }

    fn transport(&self, from: u16, to: u16) -> (u8, Vec<u8>) {
        let mut bytes = [from.to_be_bytes(), to.to_be_bytes()].concat();
        match &self.segment {
            Segment::Udp { payload } => {
                bytes.extend(short(8 + payload.len()));
                bytes.extend([0; 2]);
                bytes.extend(payload);
                (UDP, bytes)
            }
            Segment::Tcp { flags, options, payload } => {
                // Sequence and acknowledgement numbers that are found again in what comes back.
                bytes.extend(0x1234_5678_u32.to_be_bytes());
                bytes.extend(0x89ab_cdef_u32.to_be_bytes());
                let words = u8::try_from(5 + options.len() / 4).expect("at most 40 bytes");
                bytes.extend([words << 4, *flags]);
                bytes.extend([0x20, 0, 0, 0, 0, 0]);
                bytes.extend(options);
                bytes.resize(bytes.len() + payload, b'x');
                (TCP, bytes)
            }
        }
    }

    fn v4(&self, protocol: u8, payload: usize, from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        let length = V4 + self.options.len();
        let words = u8::try_from(length / 4).expect("at most 40 bytes of options");
        let mut bytes = vec![0x40 | words, self.class];
        bytes.extend(short(length + payload));
        bytes.extend([0x5a, 0x5a, if self.whole { 0x40 } else { 0 }, 0, self.ttl, protocol, 0, 0]);
        bytes.extend(from);
        bytes.extend(to);
        bytes.extend(&self.options);
        let sum = plain(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn v6(&self, protocol: u8, payload: usize, from: [u8; 16], to: [u8; 16]) -> Vec<u8> {
        let first = 6 << 28 | u32::from(self.class) << 20 | self.label & 0xf_ffff;
        let mut bytes = first.to_be_bytes().to_vec();
        bytes.extend(short(self.options.len() + payload));
        let next = if self.options.is_empty() { protocol } else { self.extension };
        bytes.extend([next, self.ttl]);
        bytes.extend(from);
        bytes.extend(to);
        if !self.options.is_empty() {
            bytes.push(protocol);
            bytes.extend(&self.options[1..]);
        }
        bytes
    }
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).expect("no packet is so long").to_be_bytes()
}
