//! Services: a transport and a range of ports.

use core::error::Error;
use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;

/// A transport with ports. The discriminant is the IP protocol number.
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

    /// The transport with this name: `tcp` or `udp`, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "tcp" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
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

/// One or more adjacent ports of one transport: `tcp/22`, `udp/60000-60010`. The protocol calls it a service.
///
/// Ports are 1..=65535, and the first is never above the last.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortRange {
    transport: Transport,
    first: u16,
    last: u16,
}

impl PortRange {
    /// Ports `first..=last`; `None` if the range is empty or begins at port 0.
    pub fn new(transport: Transport, first: u16, last: u16) -> Option<Self> {
        (1 <= first && first <= last).then_some(Self { transport, first, last })
    }

    /// One port; `None` for port 0.
    pub fn one(transport: Transport, port: u16) -> Option<Self> {
        Self::new(transport, port, port)
    }

    /// One TCP port; `None` for port 0.
    pub fn tcp(port: u16) -> Option<Self> {
        Self::one(Transport::Tcp, port)
    }

    /// One UDP port; `None` for port 0.
    pub fn udp(port: u16) -> Option<Self> {
        Self::one(Transport::Udp, port)
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

    /// The number of ports, 1..=65535.
    pub fn width(&self) -> u16 {
        // Fits: the first port is 1 at least.
        self.last - self.first + 1
    }

    /// Whether the range contains this port of this transport.
    pub fn contains(&self, transport: Transport, port: u16) -> bool {
        self.transport == transport && self.ports().contains(&port)
    }

    /// Whether the range contains every port of `other`.
    pub fn covers(&self, other: &Self) -> bool {
        self.transport == other.transport && self.first <= other.first && other.last <= self.last
    }

    /// Whether both ranges have a port in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.transport == other.transport && self.first <= other.last && other.first <= self.last
    }

    /// The union of both, if it is one range: they overlap or are adjacent.
    pub fn joined(&self, other: &Self) -> Option<Self> {
        let touch = self.first <= other.last.saturating_add(1)
            && other.first <= self.last.saturating_add(1);
        (self.transport == other.transport && touch).then(|| Self {
            transport: self.transport,
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        })
    }

    /// The ports that are not in `other`: no range, one or two.
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

/// The text is not a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotAService;

impl fmt::Display for NotAService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "write a service as tcp/PORT, udp/PORT or tcp/FIRST-LAST, with ports 1 to 65535",
        )
    }
}

impl Error for NotAService {}

impl FromStr for PortRange {
    type Err = NotAService;

    /// Reads `tcp/22` or `udp/60000-60010`: lower case, decimal digits without signs or leading zeros.
    fn from_str(text: &str) -> Result<Self, NotAService> {
        let (transport, ports) = text.split_once('/').ok_or(NotAService)?;
        let transport = Transport::from_name(transport).ok_or(NotAService)?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        Self::new(transport, port(first)?, port(last)?).ok_or(NotAService)
    }
}

fn port(digits: &str) -> Result<u16, NotAService> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok()).flatten().ok_or(NotAService)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_service_agree() {
        for text in ["tcp/22", "udp/60000-60010", "tcp/1", "tcp/65535"] {
            assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "22",
            "tcp",
            "tcp/",
            "tcp/0",
            "tcp/65536",
            "tcp/022",
            "tcp/+22",
            "TCP/22",
            "tcp/5-4",
            "tcp/1-2-3",
            "icmp/1",
            "tcp/ 22",
        ] {
            assert_eq!(text.parse::<PortRange>(), Err(NotAService), "{text:?}");
        }
    }

    #[test]
    fn ranges_that_touch_are_joined() {
        let range = |text: &str| text.parse::<PortRange>().unwrap();
        for (one, other, both) in [
            ("tcp/1-2", "tcp/3", "tcp/1-3"),
            ("tcp/1-5", "tcp/2", "tcp/1-5"),
            ("tcp/65535", "tcp/65534", "tcp/65534-65535"),
        ] {
            assert_eq!(range(one).joined(&range(other)), Some(range(both)));
            assert_eq!(range(other).joined(&range(one)), Some(range(both)));
        }
        assert_eq!(range("tcp/1").joined(&range("tcp/3")), None);
        assert_eq!(range("tcp/1").joined(&range("udp/1")), None);
    }
}
