//! What a grant opens: one port to one address. And the four kernel sets that hold grants.

use std::ffi::CStr;
use std::net::IpAddr;
use std::time::Duration;

use sknock_netfilter::flow::FlowKey;
use sknock_netfilter::nft::rule::AddressSet;
use sknock_netfilter::nft::set::Element;
use sknock_types::Transport;

use crate::label::GrantLabel;

/// One address may reach one port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GrantKey {
    /// The source.
    pub address: IpAddr,
    /// TCP or UDP.
    pub transport: Transport,
    /// Destination port, as the client dials it.
    pub port: u16,
    /// Whether the first connection uses it up.
    pub single_use: bool,
}

/// A grant as an element of a kernel set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GrantElement {
    /// Which.
    pub grant_key: GrantKey,
    /// For how long from now.
    pub remaining: Duration,
    /// The knock and the certificate.
    pub label: GrantLabel,
}

/// A set of grants in the kernel's table. The key is address . protocol . port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum GrantSet {
    /// IPv4, until it expires.
    Grant4,
    /// IPv6, until it expires.
    Grant6,
    /// IPv4, until its first connection or until it expires.
    Single4,
    /// IPv6, until its first connection or until it expires.
    Single6,
}

impl GrantSet {
    /// All sets of the table.
    pub const ALL: [Self; 4] = [Self::Grant4, Self::Grant6, Self::Single4, Self::Single6];

    /// Its name in the kernel.
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Grant4 => c"grant4",
            Self::Grant6 => c"grant6",
            Self::Single4 => c"single4",
            Self::Single6 => c"single6",
        }
    }

    /// The set with this name, which ends with its terminator.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name().to_bytes_with_nul() == name)
    }

    /// Whether its addresses are IPv6.
    pub fn is_v6(self) -> bool {
        matches!(self, Self::Grant6 | Self::Single6)
    }

    /// Whether a connection uses up its grants.
    pub fn is_single_use(self) -> bool {
        matches!(self, Self::Single4 | Self::Single6)
    }
}

impl From<GrantSet> for AddressSet {
    fn from(set: GrantSet) -> Self {
        Self { name: set.name(), v6: set.is_v6() }
    }
}

impl GrantElement {
    /// As the kernel keeps it.
    pub(crate) fn encode(&self) -> Element {
        Element {
            key: self.grant_key.key(),
            remaining: Some(self.remaining),
            userdata: self.label.userdata(),
        }
    }

    /// The elements of `set` that the kernel has listed. One without a timeout has "for ever" left, one
    /// without a comment of ours was added by another program.
    pub(crate) fn read_all(set: GrantSet, listed: Vec<Element>) -> impl Iterator<Item = Self> {
        listed.into_iter().filter_map(move |raw| {
            Some(Self {
                grant_key: GrantKey::from_key(set, &raw.key)?,
                remaining: raw.remaining.unwrap_or(Duration::MAX),
                label: GrantLabel::from_userdata(&raw.userdata)
                    .unwrap_or_else(GrantLabel::unlabelled),
            })
        })
    }
}

impl GrantKey {
    /// The grants of a flow: one for many connections, one for single use.
    pub(crate) fn both_of(flow: &FlowKey) -> [Self; 2] {
        let FlowKey { address, transport, port } = *flow;
        [false, true].map(|single_use| Self { address, transport, port, single_use })
    }

    /// The set that holds it.
    pub fn set(&self) -> GrantSet {
        match (self.address, self.single_use) {
            (IpAddr::V4(_), false) => GrantSet::Grant4,
            (IpAddr::V6(_), false) => GrantSet::Grant6,
            (IpAddr::V4(_), true) => GrantSet::Single4,
            (IpAddr::V6(_), true) => GrantSet::Single6,
        }
    }

    /// Its flow.
    pub fn flow(&self) -> FlowKey {
        FlowKey { address: self.address, transport: self.transport, port: self.port }
    }

    /// Its key there.
    pub(crate) fn key(&self) -> Vec<u8> {
        self.flow().key()
    }

    /// The grant with this key in `set`, if [`GrantKey::key`] could have made it.
    pub(crate) fn from_key(set: GrantSet, key: &[u8]) -> Option<Self> {
        let FlowKey { address, transport, port } = FlowKey::from_key(set.is_v6(), key)?;
        Some(Self { address, transport, port, single_use: set.is_single_use() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back() {
        for (address, single_use) in [("192.0.2.7", false), ("2001:db8::7", true)] {
            let grant_key = GrantKey {
                address: address.parse().unwrap(),
                transport: Transport::Udp,
                port: 0x1234,
                single_use,
            };
            assert_eq!(GrantKey::from_key(grant_key.set(), &grant_key.key()), Some(grant_key));
            assert_eq!(GrantKey::from_key(grant_key.set(), &grant_key.key()[1..]), None);
        }
    }
}
