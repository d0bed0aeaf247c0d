//! The client's side: a wish becomes a datagram.

use core::net::IpAddr;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_P256_HKDF_SHA256_AES_128;
use rustls::crypto::hpke::{Hpke, HpkePublicKey, HpkeSealer};
use zeroize::Zeroizing;

use super::signed::signed;
use super::unsigned::UnsignedMessage;
use super::{ClaimedAddress, KnockRequest, SEALED_LENGTH, SECRET_LENGTH, Sealed, Veil};
use crate::service::union;
use crate::{AnswerKey, Encapsulation, Identity, ServerCertificate, Service, Transport};

/// Why a wish cannot be sent, and what to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// The certificate does not fit beside the rest.
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
    /// More than [`MAX_SERVICES`](super::MAX_SERVICES), after joining those that overlap.
    #[error("more than 16 services. Use ranges, or knock more than once")]
    TooManyServices,
    /// Single use of UDP or of several ports.
    #[error("a single-use grant is possible for single TCP ports only, and {0} is not one")]
    SingleUseUnfit(Service),
    /// Both addresses are of one family.
    #[error("the second address must be of the other address family")]
    SecondAddress,
    /// The cryptographic library failed, which it only does without memory or randomness.
    #[error("the cryptographic library failed. Check whether memory is available")]
    Library,
}

impl From<Unspecified> for SealError {
    fn from(_: Unspecified) -> Self {
        Self::Library
    }
}

impl From<rustls::Error> for SealError {
    fn from(_: rustls::Error) -> Self {
        Self::Library
    }
}

/// Makes a knock of a wish: a new one-time key, secret and nonce each time, so a retry is another
/// knock.
///
/// Services are put into order, and joined where they overlap. IPv4-mapped addresses count as IPv4.
pub fn seal(
    identity: &Identity,
    server: &ServerCertificate,
    wish: &KnockRequest,
) -> Result<Sealed, SealError> {
    let wish = tidy(wish)?;
    let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
    rand::fill(secret.as_mut())?;
    let draft =
        UnsignedMessage::new(&wish, &secret, identity.certificate(), identity.max_signature())?;

    let (encapsulation, mut sealer) = encapsulate(server)?;
    let signed = signed(server.sid(), &encapsulation, draft.unsigned());
    let signature = identity.sign(signed.bytes())?;
    let message = draft.finish(&signature).ok_or(SealError::Library)?;
    let ciphertext: [u8; SEALED_LENGTH] =
        sealer.seal(b"", &message)?.try_into().map_err(|_| SealError::Library)?;

    let id = signed.id();
    Ok(Sealed {
        datagram: Veil::new(server.sid())?.seal(&encapsulation, &ciphertext)?,
        id,
        answer_key: AnswerKey::new(&secret, &id)?,
    })
}

fn encapsulate(
    server: &ServerCertificate,
) -> Result<(Encapsulation, Box<dyn HpkeSealer>), SealError> {
    let public = HpkePublicKey(server.point.to_vec());
    let (encapsulation, sealer) =
        DH_KEM_P256_HKDF_SHA256_AES_128.setup_sealer(&server.hpke_info(), &public)?;
    let encapsulation = encapsulation.0.try_into().map_err(|_| SealError::Library)?;
    Ok((encapsulation, sealer))
}

/// The same wish in the one form that can be written, or why there is none.
fn tidy(wish: &KnockRequest) -> Result<KnockRequest, SealError> {
    let unfit = wish.services.iter().find(|service| !fits_single_use(**service));
    if let (true, Some(service)) = (wish.single_use, unfit) {
        return Err(SealError::SingleUseUnfit(*service));
    }
    let services = in_order(&wish.services);
    let address = match wish.address {
        ClaimedAddress::Ip(address) => ClaimedAddress::Ip(address.to_canonical()),
        ClaimedAddress::Source => ClaimedAddress::Source,
    };
    let second = wish.second.as_ref().map(IpAddr::to_canonical);
    if let (ClaimedAddress::Ip(first), Some(second)) = (address, second)
        && first.is_ipv4() == second.is_ipv4()
    {
        return Err(SealError::SecondAddress);
    }
    Ok(KnockRequest { address, second, services, ..wish.clone() })
}

fn fits_single_use(service: Service) -> bool {
    service.transport() == Transport::Tcp && service.width() == 1
}

/// Ascending and without overlap. Neighbours stay apart: single ports may be used up singly.
fn in_order(services: &[Service]) -> Vec<Service> {
    let mut sorted = services.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let overlap = sorted.windows(2).any(|pair| matches!(pair, [a, b] if a.overlaps(b)));
    if overlap { union(sorted) } else { sorted }
}
