//! How a client behaves: what may be set, what is the default, and why.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

/// Which protocol to knock with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// The protocol of today.
    #[default]
    V2,
    /// That of the original sKnock 1.0, for its servers. It asks for one port, from the client's own
    /// (or the given) address, gets no answer, and keys must be on P-256.
    V1,
}

/// A text names no protocol.
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

/// Which addresses of a host are knocked on.
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

/// Which address a knock asks to open for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Address {
    /// Our own where it is surely the one that the server sees (global unicast, or the server is
    /// on the same link), else the public address that was configured or learnt from an earlier
    /// answer, else [`Address::Source`]. Never chosen by what failed before: whoever can lose our
    /// packets must not make us sign less.
    #[default]
    Auto,
    /// Whatever the packet's source is when it arrives. Works behind any NAT, and leaves the
    /// address unsigned: someone on the path could use the knock for their own address first.
    Source,
    /// This one, signed. The server refuses the knock unless it comes from there.
    Ip(IpAddr),
}

#[derive(Clone, Debug)]
pub(crate) struct KnockOptions {
    pub(crate) dialect: Protocol,
    /// `None`: as the dialect has it.
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
            dialect: Protocol::V2,
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
