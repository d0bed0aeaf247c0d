//! What every dialect comes to: a frame that may be ours, and the letter that is in it. The checks
//! behind that are the verifier's and the same for all.

use crate::signed::SignedBytes;
use crate::trust::{Usage, VerifiedCertificate};
use crate::v2::{KnockRequest, SECRET_LENGTH};
use crate::{Encapsulation, Refusal, ServerKey, v1, v2};

/// A datagram that is of the form of one dialect. Not decrypted, not believed.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a stranger's datagram must cost no allocation in v2"
)]
pub(crate) enum Frame {
    V1(v1::V1Frame),
    V2(v2::V2Frame),
}

impl Frame {
    /// The knock's one-time public key.
    pub(crate) fn encapsulation(&self) -> &Encapsulation {
        match self {
            Self::V1(frame) => frame.point(),
            Self::V2(frame) => &frame.encapsulation,
        }
    }

    /// All that a decryption depends on, but the key.
    pub(crate) fn content(&self) -> (&Encapsulation, &[u8], bool) {
        match self {
            Self::V1(frame) => frame.content(),
            Self::V2(frame) => (&frame.encapsulation, frame.sealed.as_slice(), false),
        }
    }

    /// Decrypts it where it stands, and takes it apart.
    pub(crate) fn open(&mut self, key: &ServerKey) -> Result<DecryptedKnock<'_>, Refusal> {
        match self {
            Self::V1(frame) => frame.open(key),
            Self::V2(frame) => frame.open(key),
        }
    }
}

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

impl DecryptedKnock<'_> {
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
