//! One door: one address, one port. And the four kernel sets that doors live in.

use std::ffi::CStr;
use std::net::IpAddr;
use std::time::Duration;

use crate::{Label, Transport, Way};

/// One address may reach one port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Door {
    /// Who may.
    pub address: IpAddr,
    /// TCP or UDP.
    pub transport: Transport,
    /// Destination port, as the client dials it.
    pub port: u16,
    /// Whether the first connection uses it up.
    pub single_use: bool,
}

/// A door as the kernel is to hold it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Element {
    /// Which.
    pub door: Door,
    /// For how long from now.
    pub remaining: Duration,
    /// What stands on it.
    pub label: Label,
}

/// A set of doors in the kernel's table. The key is address . protocol . port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Set {
    /// IPv4, until it expires.
    Grant4,
    /// IPv6, until it expires.
    Grant6,
    /// IPv4, until its first connection or until it expires.
    Once4,
    /// IPv6, until its first connection or until it expires.
    Once6,
}

impl Set {
    /// All sets of the table.
    pub const ALL: [Self; 4] = [Self::Grant4, Self::Grant6, Self::Once4, Self::Once6];

    /// Its name in the kernel.
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Grant4 => c"grant4",
            Self::Grant6 => c"grant6",
            Self::Once4 => c"once4",
            Self::Once6 => c"once6",
        }
    }

    /// Whether its addresses are IPv6.
    pub fn is_v6(self) -> bool {
        matches!(self, Self::Grant6 | Self::Once6)
    }

    /// Whether a connection uses its doors up.
    pub fn is_single_use(self) -> bool {
        matches!(self, Self::Once4 | Self::Once6)
    }
}

impl Door {
    /// The set that holds it.
    pub fn set(&self) -> Set {
        match (self.address, self.single_use) {
            (IpAddr::V4(_), false) => Set::Grant4,
            (IpAddr::V6(_), false) => Set::Grant6,
            (IpAddr::V4(_), true) => Set::Once4,
            (IpAddr::V6(_), true) => Set::Once6,
        }
    }

    /// Where it leads from and to, whatever it is for.
    pub fn way(&self) -> Way {
        Way { address: self.address, transport: self.transport, port: self.port }
    }

    /// Its key there.
    pub(crate) fn key(&self) -> Vec<u8> {
        self.way().key()
    }

    /// The door with this key in `set`, if it is a key that we would write.
    pub(crate) fn from_key(set: Set, key: &[u8]) -> Option<Self> {
        let Way { address, transport, port } = Way::from_key(set.is_v6(), key)?;
        Some(Self { address, transport, port, single_use: set.is_single_use() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back() {
        for (address, single_use) in [("192.0.2.7", false), ("2001:db8::7", true)] {
            let door = Door {
                address: address.parse().unwrap(),
                transport: Transport::Udp,
                port: 0x1234,
                single_use,
            };
            assert_eq!(Door::from_key(door.set(), &door.key()), Some(door));
            assert_eq!(Door::from_key(door.set(), &door.key()[1..]), None);
        }
    }
}
