//! A client certificate that leads to an anchor, by one path or by several, and everything a knock needs of it.

use core::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use pki_types::alg_id;
use sknock_types::Serial;
use webpki::{Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};
use x509_parser::asn1_rs::FromDer;
use x509_parser::error::X509Error;
use x509_parser::oid_registry::OID_X509_EXT_CRL_DISTRIBUTION_POINTS;
use x509_parser::prelude::X509Certificate;

use super::points::{PathCertificate, PointName, TrustPath};
use super::signature;
use crate::refusal::Refusal;
use crate::subject::{CertificateId, IssuerId, Subject};
use crate::timestamp::{Timestamp, Validity};
use crate::{authorization, der};

/// What a client's certificate must be for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Usage {
    /// Client authentication, spelled out in the certificate itself, by a key that may sign.
    ClientAuthentication,
    /// Whatever it is for: as the original sKnock has it.
    Any,
}

impl Usage {
    /// Whether a certificate that was found to be for `found` is for this.
    pub(super) fn is_met_by(self, found: Self) -> bool {
        self == Self::Any || found == Self::ClientAuthentication
    }

    /// The certificate itself must state its usage; CA certificates mostly state none.
    pub(super) fn check_leaf(self, leaf: &X509Certificate<'_>) -> Result<(), Refusal> {
        match self {
            Self::Any => Ok(()),
            Self::ClientAuthentication => match is_for_clients(leaf) {
                Ok(true) => Ok(()),
                Ok(false) => Err(Refusal::NotAClientCertificate),
                Err(_) => Err(Refusal::BadCertificate),
            },
        }
    }
}

/// Whether a certificate's extKeyUsage has clientAuth, and its keyUsage, if it has one, digitalSignature (RFC 5280,
/// 4.2.1.3 and 4.2.1.12): a knock is signed.
pub(crate) fn is_for_clients(certificate: &X509Certificate<'_>) -> Result<bool, X509Error> {
    let purposes = certificate.extended_key_usage()?;
    let signs = certificate.key_usage()?.is_none_or(|usage| usage.value.digital_signature());
    Ok(signs && purposes.is_some_and(|purposes| purposes.value.client_auth))
}

/// For every certificate of a path.
impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        match self {
            Self::ClientAuthentication => KeyUsage::client_auth().validate(purposes),
            Self::Any => Ok(()),
        }
    }
}

/// A certificate whose paths are verified. Not looked up on any CRL.
pub(crate) struct VerifiedCertificate {
    pub(crate) subject: Subject,
    /// One at least, those that end last first.
    pub(crate) paths: Vec<TrustPath>,
    /// The certificate's own.
    validity: Validity,
    /// When the intermediates were those which `paths` has: [`TrustStore::epoch`](super::TrustStore::epoch).
    epoch: usize,
    usage: Usage,
    key: VerificationKey,
}

/// A public key, and the one algorithm that it may be used with.
struct VerificationKey {
    parsed: ParsedPublicKey,
    is_p256: bool,
}

/// A path as it was found.
#[derive(PartialEq)]
pub(super) struct FoundPath {
    /// DER; the one that has signed the client's is the first.
    pub(super) intermediates: Vec<Vec<u8>>,
    pub(super) anchor: IssuerId,
}

impl VerifiedCertificate {
    /// Extracts data from the paths of `leaf`. Paths with a certificate that no CRL can identify are dropped.
    pub(super) fn new(
        leaf: &X509Certificate<'_>,
        (fingerprint, usage): ([u8; 32], Usage),
        found: &[FoundPath],
        epoch: usize,
    ) -> Result<Self, Refusal> {
        let mut paths: Vec<_> = found.iter().filter_map(|found| path(leaf, found)).collect();
        let certificate = paths.first().and_then(|path| path.certificates.first());
        let certificate = certificate.ok_or(Refusal::BadCertificate)?.id.clone();
        // One key has signed it. By this name it is revoked, and its grants are found.
        paths.retain(|path| path.certificates.first().is_some_and(|one| one.id == certificate));
        paths.sort_by_key(|path| core::cmp::Reverse(path.not_after));
        let named = authorization::named_by(leaf).map_err(|_| Refusal::BadCertificate)?;
        let key = key(leaf.public_key().raw)?;
        let authorization::Named { services: allowed, malformed } = named;
        let subject = Subject { fingerprint, name: name(leaf), certificate, allowed, malformed };
        Ok(Self { subject, paths, validity: Validity::of(leaf), epoch, usage, key })
    }

    /// Whether the certificate is valid then, and its paths are those of that time.
    pub(super) fn is_valid_at(&self, now: Timestamp, epoch: usize) -> bool {
        self.validity.contains(now) && self.epoch == epoch
    }

    /// What its paths were found to be for.
    pub(super) fn usage(&self) -> Usage {
        self.usage
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

/// The path from `leaf`, if every certificate on it has a serial number that a list can name.
fn path(leaf: &X509Certificate<'_>, found: &FoundPath) -> Option<TrustPath> {
    let mut not_after = Validity::of(leaf).ends;
    let mut certificates = Vec::new();
    let mut below = Below::of(leaf);
    for der in &found.intermediates {
        let (_, intermediate) = X509Certificate::from_der(der).ok()?;
        let (name, key) = (intermediate.subject().as_raw(), intermediate.public_key().raw);
        // The one above has signed the one below: that was verified.
        certificates.push(below.signed_by(IssuerId::of(name, key)));
        below = Below::of(&intermediate);
        not_after = not_after.min(Validity::of(&intermediate).ends);
    }
    certificates.push(below.signed_by(found.anchor));
    let can_be_named = |one: &PathCertificate| one.id.serial.len() <= Serial::MAX_LEN;
    certificates.iter().all(can_be_named).then_some(TrustPath { certificates, not_after })
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
    let parsed = signature::read_key(kind, bytes).ok_or(Refusal::BadCertificate)?;
    Ok(VerificationKey { parsed, is_p256: kind == alg_id::ECDSA_P256.as_ref() })
}
