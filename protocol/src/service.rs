//! What can be opened: a transport and a range of ports.

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

/// One or more neighbouring ports of one transport: `tcp/22`, `udp/60000-60010`.
///
/// Ports are 1..=65535 and the first is never above the last.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Service {
    transport: Transport,
    first: u16,
    last: u16,
}

impl Service {
    /// Ports `first..=last`, or nothing if that is no range or begins at port 0.
    pub fn new(transport: Transport, first: u16, last: u16) -> Option<Self> {
        (1 <= first && first <= last).then_some(Self { transport, first, last })
    }

    /// One TCP port; `None` for port 0.
    pub fn tcp(port: u16) -> Option<Self> {
        Self::new(Transport::Tcp, port, port)
    }

    /// One UDP port; `None` for port 0.
    pub fn udp(port: u16) -> Option<Self> {
        Self::new(Transport::Udp, port, port)
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
    pub fn width(&self) -> u16 {
        self.last - self.first + 1
    }

    /// Whether every port of `other` is one of ours.
    pub fn covers(&self, other: &Self) -> bool {
        self.transport == other.transport && self.first <= other.first && other.last <= self.last
    }

    /// Whether any port is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.transport == other.transport && self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transport, self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

/// A text is not a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write a service as tcp/PORT, udp/PORT or tcp/FIRST-LAST, with ports 1 to 65535")]
pub struct NotAService;

impl FromStr for Service {
    type Err = NotAService;

    /// Reads `tcp/22` or `udp/60000-60010`: lower case, decimal digits without signs or leading zeros.
    fn from_str(text: &str) -> Result<Self, NotAService> {
        let (transport, ports) = text.split_once('/').ok_or(NotAService)?;
        let transport = match transport {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return Err(NotAService),
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        Self::new(transport, port(first)?, port(last)?).ok_or(NotAService)
    }
}

fn port(digits: &str) -> Result<u16, NotAService> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok()).flatten().ok_or(NotAService)
}

/// Sorts `services` and joins those that overlap or touch, so that no port is in two of them.
pub fn union(services: impl IntoIterator<Item = Service>) -> Vec<Service> {
    let mut sorted: Vec<Service> = services.into_iter().collect();
    sorted.sort_unstable();
    let mut joined: Vec<Service> = Vec::with_capacity(sorted.len());
    for service in sorted {
        match joined.last_mut() {
            Some(before)
                if before.transport == service.transport
                    && service.first <= before.last.saturating_add(1) =>
            {
                before.last = before.last.max(service.last);
            }
            _ => joined.push(service),
        }
    }
    joined
}

/// Ports that one knock opens at most, ranges counted in full: `too-many-ports`.
pub const MOST_PORTS: u32 = 64;

/// How many ports these are, each range in full. They must be a [`union`], or some count twice.
pub fn ports(services: &[Service]) -> u32 {
    services.iter().map(|service| u32::from(service.width())).sum()
}

/// Whether every port of `wanted` is covered by `allowed`, which must be a [`union`].
pub fn all_covered(wanted: &Service, allowed: &[Service]) -> bool {
    allowed.iter().any(|service| service.covers(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_service_agree() {
        for text in ["tcp/22", "udp/60000-60010", "tcp/1", "tcp/65535"] {
            assert_eq!(text.parse::<Service>().unwrap().to_string(), text);
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
            assert_eq!(text.parse::<Service>(), Err(NotAService), "{text:?}");
        }
    }

    #[test]
    fn a_union_joins_what_touches() {
        let parse =
            |text: &str| text.split(' ').map(|s| s.parse().unwrap()).collect::<Vec<Service>>();
        assert_eq!(
            union(parse("tcp/24 tcp/22-23 udp/22 tcp/1-65535 udp/5")),
            parse("tcp/1-65535 udp/5 udp/22")
        );
        assert_eq!(union(parse("tcp/24 tcp/22")), parse("tcp/22 tcp/24"));
    }
}
