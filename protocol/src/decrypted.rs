//! The content of a knock in any protocol version, between the bytes of the network and the checks of the
//! verifier. Nothing here is verified.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;

use sknock_types::hex;
use zeroize::Zeroizing;

use crate::crypto::{Point, sha256};
use crate::hpke::Exporter;
use crate::trust::{Usage, VerifiedCertificate};
use crate::{Refusal, Service, Subject, Timestamp};

/// Bytes from the network, and their apparent source.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    source: SocketAddr,
    payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// A v4-mapped source becomes its IPv4 address.
    pub fn new(source: SocketAddr, payload: &'a [u8]) -> Self {
        // A socket of both families names IPv4 senders as ::ffff:a.b.c.d.
        Self { source: SocketAddr::new(source.ip().to_canonical(), source.port()), payload }
    }

    /// Source address and port as seen by the kernel; may be forged.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// The UDP payload, in full.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// The address for which a client requests a grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimedAddress {
    /// The source of the datagram. An attacker on the path can copy the knock and send it from their own
    /// address first.
    Source,
    /// This address only.
    Ip(IpAddr),
}

/// A client's request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnockRequest {
    /// The client's clock.
    pub stamp: Timestamp,
    /// For how many seconds; `None` leaves it to the server.
    pub lifetime: Option<NonZeroU16>,
    /// Whether the first new connection ends the grant; single TCP ports only.
    pub single_use: bool,
    /// Whether the server should answer.
    pub answer: bool,
    /// The client's address.
    pub address: ClaimedAddress,
    /// The client's address in the other address family.
    pub second: Option<IpAddr>,
    /// The requested services, at most [`MAX_SERVICES`](crate::v2::MAX_SERVICES); none means all that the
    /// certificate allows.
    pub services: Vec<Service>,
}

/// A one-time public key on P-256, uncompressed: 04, X, Y.
pub type Encapsulation = Point;

/// The content of a knock. Nothing in it is verified.
pub(crate) struct DecryptedKnock<'a> {
    pub(crate) request: KnockRequest,
    /// Source of the answer's key, if an answer is requested.
    pub(crate) exporter: Option<Exporter>,
    /// One DER object, presumably an X.509 certificate.
    pub(crate) certificate: &'a [u8],
    /// The required usage of the certificate.
    pub(crate) usage: Usage,
    pub(crate) signed: SignedBytes,
    pub(crate) signature: KnockSignature<'a>,
}

/// A signature and its permitted algorithms.
pub(crate) enum KnockSignature<'a> {
    /// The key's own algorithm.
    OfKey(&'a [u8]),
    /// ECDSA on P-256 with SHA-256. Not `sound`: an earlier check failed, which must be reported as a bad
    /// signature and take the same time.
    P256 { bytes: &'a [u8], sound: bool },
}

/// The sender of a refused knock: one of our authorities signed the certificate, and its key the knock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProvenSender {
    /// Identifies the knock.
    pub id: KnockId,
    /// The certificate's subject.
    pub subject: Subject,
    /// The requested services; empty means all that the certificate allows.
    pub services: Vec<Service>,
}

impl DecryptedKnock<'_> {
    /// The data that is proven once the signature of `sender` is verified.
    pub(crate) fn sent_by(&self, sender: &VerifiedCertificate) -> ProvenSender {
        ProvenSender {
            id: self.signed.id(),
            subject: sender.subject.clone(),
            services: self.request.services.clone(),
        }
    }

    /// Whether the key of this certificate made the signature.
    pub(crate) fn check_signature(&self, sender: &VerifiedCertificate) -> Result<(), Refusal> {
        match self.signature {
            KnockSignature::OfKey(bytes) => sender.verify_signature(self.signed.bytes(), bytes),
            KnockSignature::P256 { bytes, sound } => {
                // Also if not sound: without a MAC, a check that was left out would show by the time
                // (PROTOCOL v1, the padding).
                let genuine = sender.verify_p256(self.signed.bytes(), bytes);
                if sound { genuine } else { Err(Refusal::BadSignature) }
            }
        }
    }
}

/// The bytes under a knock's signature. Overwritten when dropped: they were encrypted.
pub(crate) struct SignedBytes(Zeroizing<Vec<u8>>);

impl SignedBytes {
    /// Concatenates `parts`.
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        Self(Zeroizing::new(parts.concat()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn id(&self) -> KnockId {
        KnockId(sha256(&self.0))
    }
}

/// Identifies one knock for replay protection: SHA-256 of the signed bytes.
///
/// Never computed from the packet: signatures and ciphertexts can be altered without becoming invalid.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KnockId(pub [u8; 32]);

impl KnockId {
    /// The first half; an answer identifies its knock by it.
    pub fn prefix(&self) -> [u8; 16] {
        let [prefix @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.0;
        prefix
    }
}

impl fmt::Display for KnockId {
    /// The first 8 bytes as 16 hexadecimal digits: the knock id in logs and in `status`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..8]))
    }
}

impl fmt::Debug for KnockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnockId({self})")
    }
}
