//! What can be opened: a transport and its ports. The gate's own small types; nothing is parsed here.

use std::fmt;
use std::ops::RangeInclusive;

/// A transport that the firewall can match. The discriminant is the IP protocol number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Transport {
    /// Transmission Control Protocol.
    Tcp = 6,
    /// User Datagram Protocol.
    Udp = 17,
}

impl Transport {
    /// The IP protocol number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The transport with this IP protocol number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Neighbouring ports of one transport. Ports are 1..=65535 and the first is never above the last.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortRange {
    transport: Transport,
    first: u16,
    last: u16,
}

impl PortRange {
    /// Ports `first..=last`, or nothing if that is no range or begins at port 0.
    pub fn new(transport: Transport, first: u16, last: u16) -> Option<Self> {
        (1 <= first && first <= last).then_some(Self { transport, first, last })
    }

    /// One port, or nothing for port 0.
    pub fn one(transport: Transport, port: u16) -> Option<Self> {
        Self::new(transport, port, port)
    }

    /// TCP or UDP.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The lowest port.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(&self) -> u16 {
        self.last
    }

    /// All ports.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// How many ports, 1..=65535.
    pub fn width(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// Whether this port of this transport is one of ours.
    pub fn contains(&self, transport: Transport, port: u16) -> bool {
        self.transport == transport && self.ports().contains(&port)
    }

    /// What is left of it without the ports of `other`: nothing, one range or two.
    pub fn without(&self, other: &Self) -> impl Iterator<Item = Self> + use<> {
        let Self { transport, first, last } = *self;
        let (below, above) = if self.overlaps(other) {
            (other.first.checked_sub(1), other.last.checked_add(1))
        } else {
            (Some(last), None)
        };
        let below = below.and_then(|end| Self::new(transport, first, end));
        let above = above.and_then(|start| Self::new(transport, start, last));
        below.into_iter().chain(above)
    }

    /// Whether any port is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.transport == other.transport && self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transport, self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}
