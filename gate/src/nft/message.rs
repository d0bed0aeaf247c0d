//! Netlink messages as bytes: the few we write without libnftnl, and what we read of the others.
//! Nothing here is unsafe or can panic.

use std::ffi::CStr;

use libc::c_int;

/// What a netlink message says in its header, and what follows it.
pub(crate) struct NetlinkMessage<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: &'a [u8],
}

/// `struct nlmsghdr`: u32 length, u16 type, u16 flags, u32 sequence, u32 port.
const HEADER: usize = 16;
/// `struct nfgenmsg`: u8 family, u8 version, be16 resource.
const FAMILY_HEADER: usize = 4;
/// `struct nlattr`: u16 length, u16 type.
const ATTRIBUTE_HEADER: usize = 4;
/// `NFTA_SET_ELEM_LIST_SET`.
const SET_OF_ELEMENTS: u16 = 2;

impl<'a> NetlinkMessage<'a> {
    /// The message in these bytes, as the kernel writes it.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk::<HEADER>()?;
        let short = |at: usize| Some(u16::from_ne_bytes(*header.get(at..)?.first_chunk()?));
        Some(Self { kind: short(4)?, flags: short(6)?, body })
    }

    /// The result that an `NLMSG_ERROR` or the `NLMSG_DONE` of a listing carries: an errno, or 0 for
    /// an acknowledgement. Nothing for other messages.
    pub(crate) fn result(&self) -> Option<c_int> {
        let kind = c_int::from(self.kind);
        let number = self.body.first_chunk().map_or(0, |bytes| c_int::from_ne_bytes(*bytes));
        (kind == libc::NLMSG_ERROR || kind == libc::NLMSG_DONE).then(|| number.saturating_neg())
    }

    /// Whether something changed while this was being dumped.
    pub(crate) fn dump_interrupted(&self) -> bool {
        c_int::from(self.flags) & libc::NLM_F_DUMP_INTR != 0
    }

    /// Which `nf_tables` event this is, if it is one.
    pub(crate) fn event(&self) -> Option<c_int> {
        let [event, subsystem] = self.kind.to_le_bytes();
        (c_int::from(subsystem) == libc::NFNL_SUBSYS_NFTABLES).then(|| c_int::from(event))
    }

    /// Whether it is about this table of the family `inet`, or something in it. The name of the table
    /// is the first attribute of every `nf_tables` object, and its number is 1.
    pub(crate) fn is_about(&self, table: &CStr) -> bool {
        let Some((header, attributes)) = self.body.split_first_chunk::<FAMILY_HEADER>() else {
            return false;
        };
        let Some((attribute, rest)) = attributes.split_first_chunk::<ATTRIBUTE_HEADER>() else {
            return false;
        };
        let [low, high, kind_low, kind_high] = *attribute;
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let kind = u16::from_ne_bytes([kind_low, kind_high]);
        let name = length.checked_sub(ATTRIBUTE_HEADER).and_then(|length| rest.get(..length));
        c_int::from(header[0]) == libc::NFPROTO_INET
            && kind == 1
            && name == Some(table.to_bytes_with_nul())
    }

    /// What it says of the object that it is about.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.body.get(FAMILY_HEADER..).unwrap_or_default())
    }

    /// The name of the set that elements in this message are of, with its terminator.
    pub(crate) fn set(&self) -> Option<&'a [u8]> {
        self.attributes().find(|(kind, _)| *kind == SET_OF_ELEMENTS).map(|(_, name)| name)
    }
}

/// The attributes in these bytes, by their numbers, without the marks for nesting and byte order. What
/// is cut short ends them.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let ([low, high, kind_low, kind_high], rest) = bytes.split_first_chunk()?;
        let length =
            usize::from(u16::from_ne_bytes([*low, *high])).checked_sub(ATTRIBUTE_HEADER)?;
        let content = rest.get(..length)?;
        bytes = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([*kind_low, *kind_high]) & 0x3fff, content))
    })
}

/// `struct nlattr`: u16 length without padding, u16 type; then the content, padded to four bytes.
pub(crate) fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = 4 + content.len();
    let mut bytes = Vec::with_capacity(length.next_multiple_of(4));
    bytes.extend(u16::try_from(length).unwrap_or_default().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(content);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

/// A message to the kernel in the making, which asks for an acknowledgement.
pub(crate) struct MessageBuilder(Vec<u8>);

impl MessageBuilder {
    /// Of this kind in this subsystem of `nfnetlink`, about this resource.
    pub(crate) fn new(subsystem: c_int, kind: c_int, family: c_int, resource: u16) -> Self {
        let kind = narrow(subsystem << 8 | kind);
        let flags = narrow(libc::NLM_F_REQUEST | libc::NLM_F_ACK);
        let mut bytes = vec![0; 4]; // the length, see `finish`
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([u8::try_from(family).unwrap_or_default(), 0]);
        bytes.extend(resource.to_be_bytes());
        Self(bytes)
    }

    /// To the routing tables instead, of this kind and with this fixed part.
    pub(crate) fn to_routes(kind: u16, fixed: &[u8]) -> Self {
        let flags = narrow(libc::NLM_F_REQUEST | libc::NLM_F_ACK);
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Asks for all that there are.
    pub(crate) fn listing(mut self) -> Self {
        let flags = narrow(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).to_ne_bytes();
        self.0.splice(6..8, flags);
        self
    }

    /// With this attribute.
    pub(crate) fn with(mut self, kind: c_int, value: &[u8]) -> Self {
        let length = ATTRIBUTE_HEADER + value.len();
        self.0.extend(u16::try_from(length).unwrap_or_default().to_ne_bytes());
        self.0.extend(narrow(kind).to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The bytes to send.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or_default().to_ne_bytes();
        self.0.splice(..length.len(), length);
        self.0
    }
}

/// A constant of the kernel's interface, all of which are far below the limit.
fn narrow(number: c_int) -> u16 {
    u16::try_from(number).unwrap_or_default()
}

/// Asks for one table of the family `inet`; the answer is the table or `ENOENT`.
pub(crate) fn table_request(table: &CStr) -> Vec<u8> {
    let (subsystem, kind) = (libc::NFNL_SUBSYS_NFTABLES, libc::NFT_MSG_GETTABLE);
    MessageBuilder::new(subsystem, kind, libc::NFPROTO_INET, 0)
        .with(1, table.to_bytes_with_nul())
        .finish()
}
