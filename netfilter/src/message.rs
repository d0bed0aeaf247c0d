//! Netlink messages as bytes: the few that are written without libnftnl, and what is read of the others.
//! Nothing here is unsafe or can panic.

use std::ffi::CStr;
use std::net::IpAddr;

use libc::c_int;

/// `struct nlmsghdr`: u32 length, u16 type, u16 flags, u32 sequence, u32 port.
const HEADER: usize = 16;
/// `struct nfgenmsg`: u8 family, u8 version, be16 resource.
const FAMILY_HEADER: usize = 4;
/// `struct nlattr`: u16 length, u16 type.
const ATTRIBUTE_HEADER: usize = 4;
/// The two upper bits of an attribute's type are marks for nesting and byte order.
const ATTRIBUTE_TYPE: u16 = 0x3fff;
/// `NLA_F_NESTED`.
pub(crate) const NESTED: u16 = 1 << 15;
/// `NFTA_TABLE_NAME`, `NFTA_RULE_TABLE` and so on: the first attribute of every `nf_tables` object.
const IN_TABLE: u16 = 1;
/// `NFTA_SET_ELEM_LIST_SET`.
const SET_OF_ELEMENTS: u16 = 2;

/// What a netlink message says in its header, and what follows it.
pub(crate) struct NetlinkMessage<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: &'a [u8],
}

impl<'a> NetlinkMessage<'a> {
    /// The message in these bytes, as the kernel writes it: it ends with them.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk::<HEADER>()?;
        let short = |at: usize| Some(u16::from_ne_bytes(*header.get(at..)?.first_chunk()?));
        Some(Self { kind: short(4)?, flags: short(6)?, body })
    }

    /// The first message in these bytes, as long as it says that it is.
    pub(crate) fn first(bytes: &'a [u8]) -> Option<Self> {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?);
        Self::read(bytes.get(..usize::try_from(length).ok()?)?)
    }

    /// The result that an `NLMSG_ERROR` or the `NLMSG_DONE` of a listing carries: an errno, or 0 for
    /// an acknowledgement. Nothing for other messages.
    pub(crate) fn result(&self) -> Option<c_int> {
        let kind = c_int::from(self.kind);
        let number = self.body.first_chunk().map_or(0, |bytes| c_int::from_ne_bytes(*bytes));
        // The kernel writes -errno. A listing that fails midway says so in its `NLMSG_DONE`.
        (kind == libc::NLMSG_ERROR || kind == libc::NLMSG_DONE).then(|| number.saturating_neg())
    }

    /// Whether something changed while this was being dumped.
    pub(crate) fn dump_interrupted(&self) -> bool {
        c_int::from(self.flags) & libc::NLM_F_DUMP_INTR != 0
    }

    /// Which message of this subsystem of `nfnetlink` it is, if it is one.
    pub(crate) fn of_subsystem(&self, wanted: c_int) -> Option<c_int> {
        // By value, whatever the machine's byte order: the subsystem is the upper half (`NFNL_SUBSYS_ID`).
        let [kind, subsystem] = self.kind.to_le_bytes();
        (c_int::from(subsystem) == wanted).then(|| c_int::from(kind))
    }

    /// Whether it is about this table of the family `inet`, or something in it.
    pub(crate) fn is_about(&self, table: &CStr) -> bool {
        let family = self.body.first().copied().map(c_int::from);
        family == Some(libc::NFPROTO_INET)
            && self.attributes().next() == Some((IN_TABLE, table.to_bytes_with_nul()))
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
        Some((u16::from_ne_bytes([*kind_low, *kind_high]) & ATTRIBUTE_TYPE, content))
    })
}

/// One attribute: length without padding, type; then the content, padded to four bytes.
pub(crate) fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = ATTRIBUTE_HEADER + content.len();
    let mut bytes = Vec::with_capacity(length.next_multiple_of(4));
    bytes.extend(u16::try_from(length).unwrap_or_default().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(content);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

/// The address that is the content of an attribute.
pub(crate) fn ip_address(content: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(content).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(content).map(IpAddr::from)).ok()
}

/// A message to the kernel in the making, which asks for an acknowledgement.
pub(crate) struct MessageBuilder(Vec<u8>);

impl MessageBuilder {
    /// Of this kind in this subsystem of `nfnetlink`, about this resource.
    pub(crate) fn new(subsystem: c_int, kind: c_int, family: c_int, resource: u16) -> Self {
        let family = u8::try_from(family).unwrap_or_default();
        let [high, low] = resource.to_be_bytes();
        Self::to_routes(narrow(subsystem << 8 | kind), &[family, 0, high, low])
    }

    /// To the routing tables instead, of this kind and with this fixed part.
    pub(crate) fn to_routes(kind: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4]; // the length, see `finish`
        bytes.extend(kind.to_ne_bytes());
        // Flags (`with_flags`), sequence, port. All answers are read before the next request is sent, so that
        // no two requests have to be told apart by a sequence number. The kernel takes the port from the
        // socket.
        bytes.extend([0; 10]);
        bytes.extend(fixed);
        Self(bytes).with_flags(libc::NLM_F_ACK)
    }

    /// Asks for all that there are.
    pub(crate) fn listing(self) -> Self {
        // Without `NLM_F_ACK`: the kernel never acknowledges a listing, it ends with `NLMSG_DONE`.
        self.with_flags(libc::NLM_F_DUMP)
    }

    /// Makes an object; `EEXIST` if it is there already.
    pub(crate) fn creating(self) -> Self {
        self.with_flags(libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL)
    }

    fn with_flags(mut self, flags: c_int) -> Self {
        self.0.splice(6..8, narrow(libc::NLM_F_REQUEST | flags).to_ne_bytes());
        self
    }

    /// With this attribute.
    pub(crate) fn with(mut self, kind: u16, content: &[u8]) -> Self {
        self.0.extend(attribute(kind, content));
        self
    }

    /// The bytes to send.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or_default().to_ne_bytes();
        self.0.splice(..length.len(), length);
        self.0
    }
}

/// A message of `nf_tables` about this table of the family `inet`, or about something in it.
pub(crate) fn about_table(kind: c_int, table: &CStr) -> MessageBuilder {
    MessageBuilder::new(libc::NFNL_SUBSYS_NFTABLES, kind, libc::NFPROTO_INET, 0)
        .with(IN_TABLE, table.to_bytes_with_nul())
}

/// A constant of the kernel's interface, as the width that a field wants. All are far below the limit.
pub(crate) fn narrow(number: c_int) -> u16 {
    u16::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back() {
        let bytes = about_table(libc::NFT_MSG_GETCHAIN, c"sknock")
            .with(3 | NESTED, b"input")
            .with(4, b"")
            .listing()
            .finish();
        assert_eq!(bytes.len() % 4, 0);
        let message = NetlinkMessage::first(&bytes).unwrap();
        let kind = message.of_subsystem(libc::NFNL_SUBSYS_NFTABLES);
        assert_eq!(kind, Some(libc::NFT_MSG_GETCHAIN));
        assert_eq!(c_int::from(message.flags), libc::NLM_F_REQUEST | libc::NLM_F_DUMP);
        let attributes: Vec<_> = message.attributes().collect();
        assert_eq!(attributes, [(1, &b"sknock\0"[..]), (3, b"input"), (4, b"")]);
        assert!(message.is_about(c"sknock"));
        for other in [c"", c"sknoc", c"sknocks"] {
            assert!(!message.is_about(other), "{other:?}");
        }
    }

    #[test]
    fn a_message_of_another_family_is_not_about_the_table() {
        let mut bytes = about_table(libc::NFT_MSG_GETTABLE, c"sknock").finish();
        bytes[HEADER] = 2; // NFPROTO_IPV4
        assert!(!NetlinkMessage::first(&bytes).unwrap().is_about(c"sknock"));
    }

    #[test]
    fn a_truncated_attribute_ends_the_attributes() {
        let whole = [attribute(1, b"one"), attribute(2, b"second")].concat();
        for length in 0..whole.len() {
            let read: Vec<_> = attributes(&whole[..length]).map(|(kind, _)| kind).collect();
            let expected: &[u16] = if length < 7 {
                &[]
            } else if length < 18 {
                &[1]
            } else {
                &[1, 2]
            };
            assert_eq!(read, expected, "{length}");
        }
        // Shorter than its own header.
        assert_eq!(attributes(&[3, 0, 1, 0, 0, 0, 0, 0]).count(), 0);
    }

    #[test]
    fn a_result_is_distinguished_from_other_messages() {
        let result = |kind: c_int, number: c_int| {
            let kind = narrow(kind);
            NetlinkMessage { kind, flags: 0, body: &number.to_ne_bytes() }.result()
        };
        assert_eq!(result(libc::NLMSG_ERROR, 0), Some(0));
        assert_eq!(result(libc::NLMSG_ERROR, -libc::ENOENT), Some(libc::ENOENT));
        assert_eq!(result(libc::NLMSG_DONE, 0), Some(0));
        assert_eq!(result(libc::NFT_MSG_NEWTABLE, 0), None);
    }
}
