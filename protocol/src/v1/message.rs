//! Reading a decrypted message.
//!
//! There is no MAC before this. So neither the result nor its time may reveal to an attacker anything about a
//! plaintext that is not theirs. The padding's bytes decide nothing before the signature is checked, and a
//! message without a right padding is processed to the end with a substitute (as in TLS 1.1, RFC 4346,
//! 6.2.3.2). Only the first bytes of a message and of its certificate end it early, so that random bytes cost
//! no more than their decryption.

use core::net::IpAddr;

use super::{BLOCK, FIELDS, SIGNATURE, TRAILER};
use crate::bytes::Bytes;
use crate::decrypted::{ClaimedAddress, DecryptedKnock, KnockRequest, KnockSignature, SignedBytes};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;
use crate::trust::Usage;
use crate::{Service, der};

/// No signature is shorter: two integers of one byte in DER.
const SHORTEST_SIGNATURE: usize = 8;

/// The byte of the original's "UDP"; every other byte is its "TCP".
const UDP: u8 = 0;

/// A message as the client wrote it. Nothing in it has been checked but its form.
pub(super) struct V1Message<'a> {
    service: Service,
    address: IpAddr,
    stamp: Timestamp,
    certificate: &'a [u8],
    /// All that precedes the signature's length byte.
    unsigned: &'a [u8],
    signature: &'a [u8],
    /// Whether padding and lengths are right.
    sound: bool,
}

impl<'a> V1Message<'a> {
    /// Takes apart what came out of the decryption, padding included. The address is of the family
    /// of the packet.
    pub(super) fn read(blocks: &'a [u8], is_ipv4: bool) -> Result<Self, Refusal> {
        let (service, address, stamp) = read_fields(blocks, is_ipv4)?;
        let certificate = read_certificate(blocks).ok_or(Refusal::NotForThisServer)?;
        let service = service.ok_or(Refusal::Malformed)?;
        let (padding, mut sound) = padding(blocks);
        let tail = read_tail(blocks, padding).ok_or(Refusal::NotForThisServer)?;
        // `&`, not `&&`: what is evaluated must not depend on the padding.
        sound &= tail.sound & (FIELDS + certificate.len() <= tail.unsigned.len());
        let Tail { unsigned, signature, .. } = tail;
        Ok(Self { service, address, stamp, certificate, unsigned, signature, sound })
    }

    /// In the terms of all dialects.
    pub(super) fn into_decrypted(self, usage: Usage) -> DecryptedKnock<'a> {
        DecryptedKnock {
            request: KnockRequest {
                stamp: self.stamp,
                lifetime: None,
                single_use: false,
                answer: false,
                address: ClaimedAddress::Ip(self.address),
                second: None,
                services: vec![self.service],
            },
            exporter: None,
            certificate: self.certificate,
            usage,
            signed: SignedBytes::new(&[self.unsigned]),
            signature: KnockSignature::P256 { bytes: self.signature, sound: self.sound },
        }
    }
}

/// What precedes the certificate; no service if it is port 0.
fn read_fields(
    blocks: &[u8],
    is_ipv4: bool,
) -> Result<(Option<Service>, IpAddr, Timestamp), Refusal> {
    let mut rest = Bytes::new(blocks);
    let mut read = || {
        let first = rest.byte()?;
        let (transport, port) = (rest.byte()?, rest.u16()?);
        let address = rest.array::<16>()?;
        let stamp = Timestamp::from_secs(rest.u32()?.into());
        (first == 0).then_some((transport, port, address, stamp))
    };
    let (transport, port, address, stamp) = read().ok_or(Refusal::NotForThisServer)?;
    // Signed, so the client means it, and what it gets is what its certificate has for TCP.
    let service = if transport == UDP { Service::udp(port) } else { Service::tcp(port) };
    Ok((service, address_of(*address, is_ipv4), stamp))
}

/// IPv4 has the first four bytes; the others may be anything.
fn address_of(bytes: [u8; 16], is_ipv4: bool) -> IpAddr {
    match bytes {
        [a, b, c, d, ..] if is_ipv4 => [a, b, c, d].into(),
        bytes => bytes.into(),
    }
}

/// The first DER object behind the fields. It may reach as far as the shortest padding allows, so that
/// its place does not depend on the padding.
fn read_certificate(blocks: &[u8]) -> Option<&[u8]> {
    let end = blocks.len().checked_sub(1 + TRAILER)?;
    let room = blocks.get(FIELDS..end)?;
    der::DerElements::new(room).one(der::SEQUENCE).ok().map(|element| element.whole)
}

/// What follows the certificate and whatever the client put behind it.
struct Tail<'a> {
    unsigned: &'a [u8],
    signature: &'a [u8],
    sound: bool,
}

fn read_tail(blocks: &[u8], padding: usize) -> Option<Tail<'_>> {
    let message = blocks.get(..blocks.len().checked_sub(padding)?)?;
    let (unsigned, [length, field @ ..]) = message.split_last_chunk::<TRAILER>()?;
    let length = usize::from(*length);
    let sound = (SHORTEST_SIGNATURE..=SIGNATURE).contains(&length);
    // A wrong length takes the whole field: that is verified too, and fails as a wrong signature does.
    let start = if sound { SIGNATURE - length } else { 0 };
    Some(Tail { unsigned, signature: field.get(start..)?, sound })
}

/// The length of the padding (PKCS#7), and whether it is valid. If it is not, the shortest is used.
///
/// Reads the last block as a whole, whatever its content.
fn padding(blocks: &[u8]) -> (usize, bool) {
    let Some((_, block)) = blocks.split_last_chunk::<BLOCK>() else { return (1, false) };
    let [.., claimed] = *block;
    let mut wrong = u8::from(claimed == 0) | u8::from(usize::from(claimed) > BLOCK);
    for (distance, byte) in block.iter().rev().enumerate() {
        let counts = u8::from(distance < usize::from(claimed));
        // 0xff where the byte is padding, else 0: no branch depends on the plaintext.
        wrong |= counts.wrapping_neg() & (byte ^ claimed);
    }
    let right = wrong == 0;
    (if right { claimed.into() } else { 1 }, right)
}

#[cfg(test)]
mod tests;
