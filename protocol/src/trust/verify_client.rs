//! A client certificate that leads to an anchor, and everything a knock needs of it.

use core::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use pki_types::alg_id;
use webpki::VerifiedPath;
use x509_parser::asn1_rs::FromDer;
use x509_parser::oid_registry::OID_X509_EXT_CRL_DISTRIBUTION_POINTS;
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

use super::{Usage, signature};
use crate::crl::{self, PathCertificate, PointName};
use crate::{CertificateId, IssuerId, Refusal, Subject, Timestamp, authorization, der};

/// A certificate whose path is verified. Not looked up on any revocation list.
pub(crate) struct VerifiedCertificate {
    pub(crate) subject: Subject,
    /// Every certificate of the path but the anchor, the client's first.
    pub(crate) path: Vec<PathCertificate>,
    /// The latest beginning on the path; the earliest end is the subject's.
    not_before: Timestamp,
    usage: Usage,
    key: VerificationKey,
}

/// A public key, and the one algorithm that it may be used with.
struct VerificationKey {
    parsed: ParsedPublicKey,
    is_p256: bool,
}

impl VerifiedCertificate {
    /// Whether every certificate of the path is valid then. Both ends are, for their whole second.
    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before.as_secs()..=self.subject.not_after.as_secs()).contains(&now.as_secs())
    }

    /// Whether the whole path was found to be for `usage`.
    pub(super) fn is_for(&self, usage: Usage) -> bool {
        usage.is_met_by(self.usage)
    }

    /// Whether `signature` is this certificate's over `message`.
    ///
    /// The key decides about the algorithm: ECDSA (strict DER) on P-256 with SHA-256, on P-384 with
    /// SHA-384, or Ed25519.
    pub(crate) fn verify_signature(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        self.key.parsed.verify_sig(message, signature).map_err(|_| Refusal::BadSignature)
    }

    /// The same for a dialect that knows nothing but ECDSA on P-256 with SHA-256.
    pub(crate) fn verify_p256(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        if !self.key.is_p256 {
            return Err(Refusal::BadSignature);
        }
        self.verify_signature(message, signature)
    }
}

impl fmt::Debug for VerifiedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Believed").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Takes what is needed from a verified path, which begins with `leaf` and ends at `anchor`.
pub(super) fn from_path(
    leaf: &X509Certificate<'_>,
    (fingerprint, usage): ([u8; 32], Usage),
    verified: &VerifiedPath<'_>,
    anchor: IssuerId,
) -> Result<VerifiedCertificate, Refusal> {
    let mut not_before = timestamp(leaf.validity().not_before);
    let mut not_after = timestamp(leaf.validity().not_after);
    let mut path = Vec::new();
    let mut below = Below::of(leaf);
    for intermediate in verified.intermediate_certificates() {
        let der = intermediate.der();
        let parsed = X509Certificate::from_der(&der);
        let (_, intermediate) = parsed.map_err(|_| Refusal::BadCertificate)?;
        let (name, key) = (intermediate.subject().as_raw(), intermediate.public_key().raw);
        // The one above has signed the one below: that was verified.
        path.push(below.signed_by(IssuerId::of(name, key)));
        below = Below::of(&intermediate);
        not_before = not_before.max(timestamp(intermediate.validity().not_before));
        not_after = not_after.min(timestamp(intermediate.validity().not_after));
    }
    path.push(below.signed_by(anchor));
    // No list can name it, and no grant can be found by it.
    if path.iter().any(|one| one.id.serial.len() > crl::LONGEST_SERIAL) {
        return Err(Refusal::BadCertificate);
    }
    let certificate = path.first().ok_or(Refusal::BadCertificate)?.id.clone();
    let named = authorization::named_by(leaf).map_err(|_| Refusal::BadCertificate)?;
    let key = key(leaf.public_key().raw)?;
    let authorization::Named { services: allowed, malformed } = named;
    let name = name(leaf);
    let subject = Subject { fingerprint, name, certificate, not_after, allowed, malformed };
    Ok(VerifiedCertificate { subject, path, not_before, usage, key })
}

/// A certificate of a path whose issuer is not known yet.
struct Below {
    serial: Vec<u8>,
    is_authority: bool,
    points: Vec<PointName>,
}

impl Below {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let (serial, points) = (serial(certificate), points(certificate));
        Self { serial, is_authority: certificate.is_ca(), points }
    }

    fn signed_by(self, issuer: IssuerId) -> PathCertificate {
        let Self { serial, is_authority, points } = self;
        PathCertificate { id: CertificateId { issuer, serial }, is_authority, points }
    }
}

/// Where the lists are that are about it.
pub(super) fn points(certificate: &X509Certificate<'_>) -> Vec<PointName> {
    let extension = certificate.get_extension_unique(&OID_X509_EXT_CRL_DISTRIBUTION_POINTS);
    let extension = extension.ok().flatten().map(|extension| extension.value);
    PointName::all(certificate.issuer().as_raw(), extension)
}

fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

/// Its serial number, without leading zero bytes.
pub(super) fn serial(certificate: &X509Certificate<'_>) -> Vec<u8> {
    der::without_leading_zeros(certificate.raw_serial()).to_vec()
}

fn name(leaf: &X509Certificate<'_>) -> String {
    let common = leaf.subject().iter_common_name().find_map(|name| name.as_str().ok());
    common.map_or_else(|| leaf.subject().to_string(), ToOwned::to_owned)
}

/// The key of a `SubjectPublicKeyInfo`.
fn key(info: &[u8]) -> Result<VerificationKey, Refusal> {
    let (kind, bytes) = der::public_key(info).map_err(|_| Refusal::BadCertificate)?;
    let algorithm = signature::of_key(kind).ok_or(Refusal::BadCertificate)?;
    let parsed = ParsedPublicKey::new(algorithm, bytes).map_err(|_| Refusal::BadCertificate)?;
    Ok(VerificationKey { parsed, is_p256: kind == alg_id::ECDSA_P256.as_ref() })
}
