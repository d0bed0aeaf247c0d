//! Reading a decrypted message. Every message has one encoding; anything else is refused.
//!
//! ```text
//! version 1 | flags 1 | stamp 8 | lifetime 2
//! n 1, each: kind 1, address 0/4/16
//! n 1, each: protocol 1, first port 2, last port 2
//! length 2, certificate | length 1, signature | zeros
//! ```
//!
//! Nothing here is verified: decryption only proves that the sender has the server's certificate. Only the
//! form is checked.

use core::net::IpAddr;
use core::num::NonZeroU16;

use super::{MAX_SERVICES, MESSAGE_LENGTH, VERSION, flag, kind};
use crate::bytes::Bytes;
use crate::decrypted::{ClaimedAddress, KnockRequest};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;
use crate::{Service, Transport, der};

/// A message as the client wrote it. Only its form is checked.
pub(crate) struct V2Message<'a> {
    pub(crate) request: KnockRequest,
    /// One DER object, presumably an X.509 certificate.
    pub(crate) certificate: &'a [u8],
    /// The signed part: all bytes before the signature's length byte.
    pub(crate) unsigned: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> V2Message<'a> {
    /// Parses a message.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Refusal> {
        if message.len() != MESSAGE_LENGTH {
            return Err(Refusal::Malformed);
        }
        read(message).ok_or(Refusal::Malformed)
    }
}

fn read(message: &[u8]) -> Option<V2Message<'_>> {
    let mut rest = Bytes::new(message);
    if rest.byte()? != VERSION {
        return None;
    }
    let flags = rest.byte()?;
    // Reserved bits must be 0, so that a later meaning is refused by this server, not ignored.
    if flags & !(flag::SINGLE_USE | flag::ANSWER) != 0 {
        return None;
    }
    let stamp = Timestamp::from_millis(rest.u64()?);
    let lifetime = NonZeroU16::new(rest.u16()?);
    let (address, second) = read_addresses(&mut rest)?;
    let services = read_services(&mut rest)?;
    let certificate = read_certificate(&mut rest)?;

    let (unsigned, _) = message.split_at_checked(message.len() - rest.len())?;
    let length = usize::from(rest.byte()?);
    let signature = rest.slice(length).filter(|signature| !signature.is_empty())?;
    if !rest.are_zero() {
        return None;
    }
    let single_use = flags & flag::SINGLE_USE != 0;
    let answer = flags & flag::ANSWER != 0;
    let request = KnockRequest { stamp, lifetime, single_use, answer, address, second, services };
    Some(V2Message { request, certificate, unsigned, signature })
}

fn read_addresses(rest: &mut Bytes<'_>) -> Option<(ClaimedAddress, Option<IpAddr>)> {
    let count = rest.byte()?;
    let first = read_address(rest)?;
    match count {
        1 => Some((first, None)),
        2 => match read_address(rest)? {
            ClaimedAddress::Ip(second) => Some((first, Some(second))),
            ClaimedAddress::Source => None,
        },
        _ => None,
    }
}

fn read_address(rest: &mut Bytes<'_>) -> Option<ClaimedAddress> {
    match rest.byte()? {
        kind::SOURCE => Some(ClaimedAddress::Source),
        kind::V4 => rest.array::<4>().map(|octets| ClaimedAddress::Ip((*octets).into())),
        kind::V6 => rest.array::<16>().map(|octets| ClaimedAddress::Ip((*octets).into())),
        _ => None,
    }
}

fn read_services(rest: &mut Bytes<'_>) -> Option<Vec<Service>> {
    let count = usize::from(rest.byte()?);
    if count > MAX_SERVICES {
        return None;
    }
    let services = (0..count).map(|_| read_service(rest)).collect::<Option<Vec<_>>>()?;
    // Ranges may touch: 22 and 23 can be two single ports, which single use needs (PROTOCOL, Grant).
    let ascending = services.is_sorted_by(|one, next| one < next && !one.overlaps(next));
    ascending.then_some(services)
}

fn read_service(rest: &mut Bytes<'_>) -> Option<Service> {
    let transport = Transport::from_number(rest.byte()?)?;
    Service::new(transport, rest.u16()?, rest.u16()?)
}

fn read_certificate<'a>(rest: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let length = usize::from(rest.u16()?);
    let certificate = rest.slice(length)?;
    der::only(certificate, der::SEQUENCE).is_ok().then_some(certificate)
}

#[cfg(test)]
mod tests;
