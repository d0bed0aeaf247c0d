//! Finds the packet in a netlink message of an NFLOG group. Pure.

use libc::c_int;

/// `struct nlmsghdr`, whose first field is the message's length, and `struct nfgenmsg`.
const HEADERS: usize = 16 + 4;
/// `struct nlattr`: u16 length, which counts these four bytes; u16 type.
const ATTRIBUTE: usize = 4;
/// The upper bits of an attribute's type are flags.
const TYPE: c_int = 0x3fff;

/// The packet that the kernel has copied into this message, from its IP header on; nothing if the
/// message is of another kind, or cut short.
pub fn packet_payload(message: &[u8]) -> Option<&[u8]> {
    const PACKET: c_int = libc::NFNL_SUBSYS_ULOG << 8 | libc::NFULNL_MSG_PACKET;
    let length = u32::from_ne_bytes(*message.first_chunk()?);
    if short(message, 4)? != PACKET {
        return None;
    }
    let mut attributes = message.get(HEADERS..usize::try_from(length).ok()?)?;
    while !attributes.is_empty() {
        let length = usize::try_from(short(attributes, 0)?).ok()?;
        let value = attributes.get(ATTRIBUTE..length)?;
        if short(attributes, 2)? & TYPE == libc::NFULA_PAYLOAD {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn short(bytes: &[u8], at: usize) -> Option<c_int> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?).into())
}
