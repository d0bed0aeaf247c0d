//! The options of a client, their defaults, and the reasons.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

/// The protocol version.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// The current protocol.
    #[default]
    V2,
    /// The protocol of the original sKnock 1.0, for its servers. It requests one port, for the client's own
    /// (or the given) address, gets no answer, and keys must be on P-256.
    V1,
}

/// The text is no protocol version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write v1 or v2")]
pub struct UnknownProtocol;

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            _ => Err(UnknownProtocol),
        }
    }
}

/// The addresses of a host to which knocks are sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Family {
    /// All, in the resolver's order.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// The client address for the grant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Address {
    /// Our own address if the server certainly sees it (global unicast, or the server is on the same link),
    /// else the public address that was configured or learnt from an earlier answer, else
    /// [`Address::Source`]. Never depends on earlier failures: an attacker who drops our packets must not
    /// cause unsigned addresses.
    #[default]
    Auto,
    /// The packet's source address on arrival. Works behind any NAT, and leaves the address unsigned: an
    /// attacker on the path could use the knock for their own address first.
    Source,
    /// This address, signed. The server refuses the knock unless it comes from there.
    Ip(IpAddr),
}

#[derive(Clone, Debug)]
pub(crate) struct KnockOptions {
    pub(crate) protocol_version: Protocol,
    /// `None`: the default of the protocol version.
    pub(crate) knock_port: Option<u16>,
    pub(crate) attempts: u8,
    pub(crate) attempt_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) verify: bool,
    pub(crate) family: Family,
    pub(crate) address: Address,
    pub(crate) public: Vec<IpAddr>,
    pub(crate) lifetime: Option<NonZeroU16>,
    pub(crate) single_use: bool,
}

impl Default for KnockOptions {
    fn default() -> Self {
        Self {
            protocol_version: Protocol::V2,
            knock_port: None,
            attempts: 3,
            attempt_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            verify: true,
            family: Family::Any,
            address: Address::Auto,
            public: Vec::new(),
            lifetime: None,
            single_use: false,
        }
    }
}
