//! What a knock says in any protocol version, between the bytes of the network and the checks of the verifier:
//! where it begins, what is asked, what is signed. Nothing here is proven.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;

use sknock_types::hex;
use zeroize::Zeroizing;

use crate::crypto::{Point, sha256};
use crate::trust::{Usage, VerifiedCertificate};
use crate::{Refusal, Service, Subject, Timestamp};

/// Bytes from the network, and who appears to have sent them.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    source: SocketAddr,
    payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// What intake received. A v4-mapped source becomes the IPv4 address that it is.
    pub fn new(source: SocketAddr, payload: &'a [u8]) -> Self {
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

/// The address that a client asks to be let in from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimedAddress {
    /// Wherever the datagram comes from. Someone on the path can capture the knock and use it from
    /// an address of their own, if they are faster.
    Source,
    /// This one, or none.
    Ip(IpAddr),
}

/// What a client asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnockRequest {
    /// The client's clock.
    pub stamp: Timestamp,
    /// For how many seconds; `None` leaves it to the server.
    pub lifetime: Option<NonZeroU16>,
    /// Whether the first new connection uses the grant up; single TCP ports only.
    pub single_use: bool,
    /// Whether the server should answer.
    pub answer: bool,
    /// Where the client is.
    pub address: ClaimedAddress,
    /// Where it also is, in the other address family.
    pub second: Option<IpAddr>,
    /// What to open, at most [`MAX_SERVICES`](crate::v2::MAX_SERVICES); none means all that the certificate allows.
    pub services: Vec<Service>,
}

/// A one-time public key on P-256, uncompressed: 04, X, Y.
pub type Encapsulation = Point;

/// Bytes of the secret that the key of the answer is made from.
pub(crate) const SECRET_LENGTH: usize = 32;

/// What a knock says. Nothing in it is proven.
pub(crate) struct DecryptedKnock<'a> {
    pub(crate) wish: KnockRequest,
    /// What the key of the answer is made from, if an answer is wanted.
    pub(crate) secret: Option<&'a [u8; SECRET_LENGTH]>,
    /// One DER object: perhaps an X.509 certificate.
    pub(crate) certificate: &'a [u8],
    /// What the certificate must be for.
    pub(crate) usage: Usage,
    pub(crate) signed: SignedBytes,
    pub(crate) signature: KnockSignature<'a>,
}

/// A signature, and what it may be made with.
pub(crate) enum KnockSignature<'a> {
    /// The key's own algorithm.
    OfKey(&'a [u8]),
    /// ECDSA on P-256 with SHA-256. Not `sound`: something was wrong before it, which is to be told
    /// as a wrong signature and to take as long.
    P256 { bytes: &'a [u8], sound: bool },
}

/// Who sent a knock that is refused: one of our authorities has signed the certificate, and its holder the knock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProvenSender {
    /// Which knock.
    pub id: KnockId,
    /// Whose certificate.
    pub subject: Subject,
    /// What was asked for; empty means all that the certificate allows.
    pub services: Vec<Service>,
}

impl DecryptedKnock<'_> {
    /// What is proven of it once the signature of `sender` is.
    pub(crate) fn sent_by(&self, sender: &VerifiedCertificate) -> ProvenSender {
        ProvenSender {
            id: self.signed.id(),
            subject: sender.subject.clone(),
            services: self.wish.services.clone(),
        }
    }

    /// Whether it was signed by the holder of this certificate.
    pub(crate) fn check_signature(&self, sender: &VerifiedCertificate) -> Result<(), Refusal> {
        match self.signature {
            KnockSignature::OfKey(bytes) => sender.verify_signature(self.signed.bytes(), bytes),
            KnockSignature::P256 { bytes, sound } => {
                let genuine = sender.verify_p256(self.signed.bytes(), bytes);
                if sound { genuine } else { Err(Refusal::BadSignature) }
            }
        }
    }
}

/// The bytes under a knock's signature. Overwritten when dropped: in v2 they hold its secret.
pub(crate) struct SignedBytes(Zeroizing<Vec<u8>>);

impl SignedBytes {
    /// All `parts`, one behind the other.
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

/// Identifies one knock for replay purposes: SHA-256 of what was signed.
///
/// Taken from what was signed, never from the packet: signatures and ciphertexts can be altered
/// without becoming invalid.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KnockId(pub [u8; 32]);

impl KnockId {
    /// The first half, enough to name a knock in an answer.
    pub fn prefix(&self) -> [u8; 16] {
        let [prefix @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.0;
        prefix
    }
}

impl fmt::Display for KnockId {
    /// The first 8 bytes as 16 hexadecimal digits: how logs and `status` name a knock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..8]))
    }
}

impl fmt::Debug for KnockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnockId({self})")
    }
}
