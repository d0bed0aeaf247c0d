//! Sets of the table as data: their keys, how their elements end, and the elements themselves.

use std::ffi::CStr;
use std::time::Duration;

/// How a set is made.
#[derive(Clone, Copy, Debug)]
pub struct SetSpec {
    /// Its name.
    pub name: &'static CStr,
    /// What its elements are.
    pub key: SetKey,
    /// Whether packets change it.
    pub dynamic: bool,
    /// The most elements that it holds.
    pub size: u32,
    /// Nothing: its elements stay.
    pub expiry: Option<Expiry>,
}

/// How a set's elements end.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// For elements without a timeout of their own.
    pub timeout: Option<Duration>,
    /// How often the kernel collects expired elements.
    pub gc_interval: Duration,
}

/// An element of a set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Element {
    /// Its key, in network order, each part padded to a multiple of 4 bytes.
    pub key: Vec<u8>,
    /// When it ends, from now on. Nothing: as the set says, or never.
    pub remaining: Option<Duration>,
    /// What else the kernel keeps with it; nft shows a comment that is in it. May be empty.
    pub userdata: Vec<u8>,
}

impl Element {
    /// An element with nothing but its key.
    pub fn bare(key: Vec<u8>) -> Self {
        Self { key, remaining: None, userdata: Vec::new() }
    }
}

/// How a packet's family is numbered, in one byte.
pub const NFPROTO_IPV4: u8 = 2;
/// The same of IPv6.
pub const NFPROTO_IPV6: u8 = 10;

/// nft's numbers for the types of a key's parts (`enum datatypes`); six bits each in a concatenation.
const INTEGER: u32 = 4;
const NF_PROTO: u32 = 2;
const IPV4_ADDR: u32 = 7;
const IPV6_ADDR: u32 = 8;
const INET_PROTO: u32 = 12;
const INET_SERVICE: u32 = 13;

/// What a set's elements are.
#[derive(Clone, Copy, Debug)]
pub enum SetKey {
    /// IPv4 address . protocol . port: [`FlowKey::key`](crate::flow::FlowKey::key).
    Flow4,
    /// IPv6 address . protocol . port.
    Flow6,
    /// IPv4 address.
    Address4,
    /// IPv6 address.
    Address6,
    /// One byte: [`NFPROTO_IPV4`] or [`NFPROTO_IPV6`].
    Family,
    /// Conntrack entry . TCP sequence number.
    Syn,
    /// The first four bytes behind the UDP header.
    Tag,
}

/// What nft keeps with a set whose key no type has a name for: which expressions it is made of
/// (`typeof ct id . tcp sequence`). Without it, nft could not load what it lists.
const TYPEOF_SYN: &[u8] = b"\x03\x3a\x00\x04\x0d\x00\x00\x00\x01\x32\x00\x14\x00\x04\x0c\x00\x00\x00\
    \x01\x0c\x00\x04\x17\x00\x00\x00\x01\x04\xff\xff\xff\xff\x01\x1a\x00\x04\x07\x00\x00\x00\x01\x12\
    \x00\x04\x08\x00\x00\x00\x01\x04\x03\x00\x00\x00\x04\x04\x20\x00\x00\x00";

/// The same for `typeof @th,64,32`. The first attribute says that the bytes are in network order.
const TYPEOF_TAG: &[u8] = b"\x00\x04\x02\x00\x00\x00\x03\x26\x00\x04\x07\x00\x00\x00\x01\x1e\
    \x00\x04\x00\x00\x00\x00\x01\x04\x00\x00\x00\x00\x02\x04\x03\x00\x00\x00\x03\x04\x40\x00\
    \x00\x00\x04\x04\x20\x00\x00\x00";

impl SetKey {
    /// nft's number for its type, and its length: each part fills a multiple of 4 bytes.
    pub(super) fn shape(self) -> (u32, u32) {
        let flow = |address| address << 12 | INET_PROTO << 6 | INET_SERVICE;
        match self {
            Self::Flow4 => (flow(IPV4_ADDR), 12),
            Self::Flow6 => (flow(IPV6_ADDR), 24),
            Self::Address4 => (IPV4_ADDR, 4),
            Self::Address6 => (IPV6_ADDR, 16),
            Self::Family => (NF_PROTO, 1),
            Self::Syn => (INTEGER << 6 | INTEGER, 8),
            Self::Tag => (INTEGER, 4),
        }
    }

    /// What nft wants to know beside the type.
    pub(super) fn userdata(self) -> &'static [u8] {
        match self {
            Self::Syn => TYPEOF_SYN,
            Self::Tag => TYPEOF_TAG,
            _ => &[],
        }
    }
}
