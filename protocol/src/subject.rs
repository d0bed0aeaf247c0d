//! The holder and the issuer of a verified client certificate.

use crate::Service;
use crate::crypto::sha256;

/// The holder of a verified client certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// SHA-256 of the certificate's DER.
    pub fingerprint: [u8; 32],
    /// The subject for messages: the common name, else the whole subject. Chosen by the authority and not
    /// sanitized: escape it before printing.
    pub name: String,
    /// The certificate's issuer and serial number, by which it is revoked.
    pub certificate: CertificateId,
    /// The allowed services: ascending, without overlap; empty if it names none.
    pub allowed: Vec<Service>,
    /// The beginning of malformed service entries, at most four; not sanitized either.
    pub malformed: Vec<String>,
}

/// Identifies a certificate as a CRL does.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CertificateId {
    /// The authority that signed it, on the verified path.
    pub issuer: IssuerId,
    /// The serial number, big-endian, without leading zero bytes.
    pub serial: Vec<u8>,
}

/// The issuer of a certificate or a CRL: a name and a key, never a name alone. An authority with a new key
/// has the same name and another id. Several certificates of one authority (renewed, or signed by several
/// others) have the same id.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IssuerId {
    /// SHA-256 of the distinguished name as encoded in the certificate (DER).
    pub name: [u8; 32],
    /// SHA-256 of the `SubjectPublicKeyInfo` (DER).
    pub key: [u8; 32],
}

impl IssuerId {
    /// Both arguments are DER.
    pub(crate) fn of(name: &[u8], public_key_info: &[u8]) -> Self {
        Self { name: sha256(name), key: sha256(public_key_info) }
    }

    /// SHA-256 of both, as a shorter id.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[self.name, self.key].concat())
    }
}
