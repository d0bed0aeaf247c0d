//! Transports, ports, and flows: from one address to one port. A flow is the key of the table's sets, and of
//! connections. Nothing is parsed here but keys.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sknock_types::Transport;

/// From an address to a port of this host, as the client dials it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FlowKey {
    /// The source.
    pub address: IpAddr,
    /// TCP or UDP.
    pub transport: Transport,
    /// Destination port.
    pub port: u16,
}

impl FlowKey {
    /// Sorts before every other flow.
    pub const FIRST: Self =
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), transport: Transport::Tcp, port: 0 };

    /// As the kernel's sets have it: each part in network order and padded to a multiple of 4 bytes.
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(24);
        match self.address {
            IpAddr::V4(v4) => key.extend(v4.octets()),
            IpAddr::V6(v6) => key.extend(v6.octets()),
        }
        let [high, low] = self.port.to_be_bytes();
        // Each part of a concatenation fills whole registers of 4 bytes in the kernel, and so in its sets.
        key.extend([self.transport.number(), 0, 0, 0, high, low, 0, 0]);
        key
    }

    /// The flow with this key, if [`FlowKey::key`] could have made it.
    pub fn from_key(v6: bool, key: &[u8]) -> Option<Self> {
        let (address, rest): (IpAddr, &[u8]) = if v6 {
            let (octets, rest) = key.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*octets).into(), rest)
        } else {
            let (octets, rest) = key.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*octets).into(), rest)
        };
        let &[transport, 0, 0, 0, high, low, 0, 0] = rest else { return None };
        let port = u16::from_be_bytes([high, low]);
        Some(Self { address, transport: Transport::from_number(transport)?, port })
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}/{}", self.address, self.transport, self.port)
    }
}
