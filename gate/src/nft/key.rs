//! What the keys of the table's sets are, in nft's words.

/// nft's numbers for the types of a key's parts (`enum datatypes`); six bits each in a concatenation.
const INTEGER: u32 = 4;
const NF_PROTO: u32 = 2;
const IPV4_ADDR: u32 = 7;
const IPV6_ADDR: u32 = 8;
const INET_PROTO: u32 = 12;
const INET_SERVICE: u32 = 13;

/// What a set's elements are.
#[derive(Clone, Copy)]
pub(super) enum SetKey {
    /// Address . protocol . port.
    Grant4,
    Grant6,
    Address4,
    Address6,
    /// IPv4 or IPv6.
    Family,
    /// Conntrack entry . TCP sequence number.
    Syn,
}

/// What nft keeps with a set whose key no type has a name for: which expressions it is made of
/// (`typeof ct id . tcp sequence`). Without it, nft could not load what it lists.
const TYPEOF_SYN: &[u8] = b"\x03\x3a\x00\x04\x0d\x00\x00\x00\x01\x32\x00\x14\x00\x04\x0c\x00\x00\x00\
    \x01\x0c\x00\x04\x17\x00\x00\x00\x01\x04\xff\xff\xff\xff\x01\x1a\x00\x04\x07\x00\x00\x00\x01\x12\
    \x00\x04\x08\x00\x00\x00\x01\x04\x03\x00\x00\x00\x04\x04\x20\x00\x00\x00";

impl SetKey {
    /// nft's number for its type, and its length: each part fills a multiple of 4 bytes.
    pub(super) fn shape(self) -> (u32, u32) {
        let grant_key = |address| address << 12 | INET_PROTO << 6 | INET_SERVICE;
        match self {
            Self::Grant4 => (grant_key(IPV4_ADDR), 12),
            Self::Grant6 => (grant_key(IPV6_ADDR), 24),
            Self::Address4 => (IPV4_ADDR, 4),
            Self::Address6 => (IPV6_ADDR, 16),
            Self::Family => (NF_PROTO, 1),
            Self::Syn => (INTEGER << 6 | INTEGER, 8),
        }
    }

    /// What nft wants to know beside the type.
    pub(super) fn userdata(self) -> &'static [u8] {
        match self {
            Self::Syn => TYPEOF_SYN,
            _ => &[],
        }
    }
}
