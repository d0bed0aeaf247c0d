//! The client's side: encodes a request as a message (the inverse of `message`), and encrypts it.

use core::net::IpAddr;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::Signature;
use zeroize::Zeroizing;

use super::tag::{LOW_TAGS, TAGS, TagKey};
use super::veil::Veil;
use super::{
    MAX_SERVICES, MESSAGE_LENGTH, SEALED_LENGTH, Sealed, VERSION, flag, kind, signed_bytes,
};
use crate::answer::AnswerKey;
use crate::decrypted::{ClaimedAddress, KnockRequest};
use crate::hpke::Sealer;
use crate::identity::Identity;
use crate::server_certificate::ServerCertificate;
use crate::service::union;
use crate::{Service, Transport};

/// Reasons why a request cannot be sent, each with a remedy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// The certificate is too large for this request.
    #[error(
        "the client certificate has {size} bytes, and this knock has room for {limit}. Request \
         fewer services, or a certificate with shorter names or fewer extensions"
    )]
    CertificateTooLarge {
        /// Bytes of the certificate.
        size: usize,
        /// Bytes that fit beside these addresses and services and the longest signature.
        limit: usize,
    },
    /// More than [`MAX_SERVICES`], after joining those that overlap.
    #[error("more than 16 services. Use ranges, or knock more than once")]
    TooManyServices,
    /// Single use of UDP or of several ports.
    #[error("a single-use grant is possible for single TCP ports only, and {0} is not one")]
    SingleUseUnfit(Service),
    /// Both addresses are of one family.
    #[error("the second address must be of the other address family")]
    SecondAddress,
    /// The cryptographic library failed, which only happens without memory or randomness.
    #[error("the cryptographic library failed. Check whether memory is available")]
    Library,
}

impl From<Unspecified> for SealError {
    fn from(_: Unspecified) -> Self {
        Self::Library
    }
}

/// Makes a knock for a request with a new one-time key and nonce, so a retry is another knock. Its tag is one of
/// all tags of the timestamp's epoch.
///
/// Services are sorted, and joined where they overlap. IPv4-mapped addresses become IPv4.
pub fn seal(
    identity: &Identity,
    server: &ServerCertificate,
    request: &KnockRequest,
) -> Result<Sealed, SealError> {
    seal_tagged(identity, server, request, TAGS)
}

/// Same as [`seal`] with a low tag, for a client's last attempt: if the client's clock is wrong by less than
/// [`FAR`](super::tag::FAR), the server reads the knock nevertheless, and can log the reason for its refusal.
pub fn seal_low(
    identity: &Identity,
    server: &ServerCertificate,
    request: &KnockRequest,
) -> Result<Sealed, SealError> {
    seal_tagged(identity, server, request, LOW_TAGS)
}

fn seal_tagged(
    identity: &Identity,
    server: &ServerCertificate,
    request: &KnockRequest,
    tags: u16,
) -> Result<Sealed, SealError> {
    let request = tidy(request)?;
    let draft = UnsignedMessage::new(&request, identity.certificate(), identity.max_signature())?;

    let sealer = Sealer::new(&server.point, &server.hpke_info())?;
    let encapsulation = *sealer.encapsulation();
    let signed = signed_bytes(server.sid(), &encapsulation, draft.unsigned());
    let signature = identity.sign(signed.bytes())?;
    let mut message = draft.finish(&signature).ok_or(SealError::Library)?;
    let (aead_tag, exporter) = sealer.seal(b"", &mut message)?;
    message.extend(aead_tag);
    let ciphertext: &[u8; SEALED_LENGTH] =
        message.as_slice().try_into().map_err(|_| SealError::Library)?;

    let id = signed.id();
    let tag_key = TagKey::new(server.sid()).ok_or(SealError::Library)?;
    let tag = tag_key.random(request.stamp, tags)?;
    Ok(Sealed {
        datagram: Veil::new(server.sid())?.seal(tag, &encapsulation, ciphertext)?,
        id,
        answer_key: AnswerKey::new(&exporter, &id)?,
    })
}

/// The request in canonical form, or the reason why it has none.
fn tidy(request: &KnockRequest) -> Result<KnockRequest, SealError> {
    let unfit = request.services.iter().find(|service| !fits_single_use(**service));
    if let (true, Some(service)) = (request.single_use, unfit) {
        return Err(SealError::SingleUseUnfit(*service));
    }
    let services = in_order(&request.services);
    let address = match request.address {
        ClaimedAddress::Ip(address) => ClaimedAddress::Ip(address.to_canonical()),
        ClaimedAddress::Source => ClaimedAddress::Source,
    };
    let second = request.second.as_ref().map(IpAddr::to_canonical);
    if let (ClaimedAddress::Ip(first), Some(second)) = (address, second)
        && first.is_ipv4() == second.is_ipv4()
    {
        return Err(SealError::SecondAddress);
    }
    Ok(KnockRequest { address, second, services, ..request.clone() })
}

fn fits_single_use(service: Service) -> bool {
    service.transport() == Transport::Tcp && service.width() == 1
}

/// Ascending and without overlap. Adjacent ports stay separate: single ports can be single-use.
fn in_order(services: &[Service]) -> Vec<Service> {
    let mut sorted = services.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let overlap = sorted.windows(2).any(|pair| matches!(pair, [a, b] if a.overlaps(b)));
    if overlap { union(sorted) } else { sorted }
}

/// All of a message except addresses, services, certificate and signature: version, flags, stamp, lifetime,
/// and the lengths of the last two.
const FIXED: usize = 1 + 1 + 8 + 2 + 2 + 1;

/// The part of a message that is signed. Overwritten when dropped: it will be encrypted.
pub(super) struct UnsignedMessage(Zeroizing<Vec<u8>>);

impl UnsignedMessage {
    /// Encodes `request`, whose services must be ascending and without overlap, for a key whose longest
    /// signature has `max_signature` bytes.
    pub(super) fn new(
        request: &KnockRequest,
        certificate: &[u8],
        max_signature: usize,
    ) -> Result<Self, SealError> {
        let addresses = write_addresses(request);
        let services = write_services(&request.services)?;
        let size = certificate.len();
        let limit = certificate_limit(addresses.len(), services.len(), max_signature);
        let length = u16::try_from(size).ok().filter(|_| size <= limit);
        let length = length.ok_or(SealError::CertificateTooLarge { size, limit })?;

        // never reallocated, also for the tag, so no copy remains in memory
        let mut draft = Zeroizing::new(Vec::with_capacity(SEALED_LENGTH));
        draft.extend([VERSION, flags(request)]);
        draft.extend(request.stamp.as_millis().to_be_bytes());
        draft.extend(request.lifetime.map_or(0, u16::from).to_be_bytes());
        draft.extend(addresses);
        draft.extend(services);
        draft.extend(length.to_be_bytes());
        draft.extend(certificate);
        Ok(Self(draft))
    }

    /// The signed bytes.
    pub(super) fn unsigned(&self) -> &[u8] {
        &self.0
    }

    /// The whole message. `None` if the signature is longer than `max_signature`.
    pub(super) fn finish(mut self, signature: &Signature) -> Option<Zeroizing<Vec<u8>>> {
        let signature = signature.as_ref();
        self.0.push(u8::try_from(signature.len()).ok()?);
        if self.0.len() + signature.len() > MESSAGE_LENGTH {
            return None;
        }
        self.0.extend(signature);
        self.0.resize(MESSAGE_LENGTH, 0);
        Some(self.0)
    }
}

/// The bytes that remain for the certificate: at least 856, with at most two addresses and [`MAX_SERVICES`].
fn certificate_limit(addresses: usize, services: usize, signature: usize) -> usize {
    MESSAGE_LENGTH - FIXED - addresses - services - signature
}

fn flags(request: &KnockRequest) -> u8 {
    let single_use = if request.single_use { flag::SINGLE_USE } else { 0 };
    let answer = if request.answer { flag::ANSWER } else { 0 };
    single_use | answer
}

fn write_addresses(request: &KnockRequest) -> Vec<u8> {
    let mut out = vec![1 + u8::from(request.second.is_some())];
    match request.address {
        ClaimedAddress::Source => out.push(kind::SOURCE),
        ClaimedAddress::Ip(address) => write_address(&mut out, address),
    }
    if let Some(second) = request.second {
        write_address(&mut out, second);
    }
    out
}

fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            out.push(kind::V4);
            out.extend(address.octets());
        }
        IpAddr::V6(address) => {
            out.push(kind::V6);
            out.extend(address.octets());
        }
    }
}

fn write_services(services: &[Service]) -> Result<Vec<u8>, SealError> {
    let count = u8::try_from(services.len()).ok().filter(|_| services.len() <= MAX_SERVICES);
    let mut out = vec![count.ok_or(SealError::TooManyServices)?];
    for service in services {
        out.push(service.transport() as u8);
        out.extend(service.first().to_be_bytes());
        out.extend(service.last().to_be_bytes());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures that an authority can rely on.
    #[test]
    fn the_certificate_limits_are_those_of_the_protocol() {
        const P256: usize = 72;
        const P384: usize = 104;
        let (one, two) = (1 + 1, 1 + 2 * (1 + 16)); // count; kind, address
        let (none, sixteen) = (1, 1 + 16 * 5);
        assert_eq!(certificate_limit(one, none, P256), 1001);
        assert_eq!(certificate_limit(two, sixteen, P256), 888);
        assert_eq!(certificate_limit(two, sixteen, P384), 856);
    }
}
