//! Who knocked, as the certificate says, and who has issued it.

use crate::Service;
use crate::crypto::sha256;

/// The holder of a verified client certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// SHA-256 of the certificate's DER.
    pub fingerprint: [u8; 32],
    /// Who is certified, for people: the common name, else the whole subject. Chosen by the
    /// authority, but not cleaned: escape it before printing.
    pub name: String,
    /// The certificate's issuer and serial number, by which it is revoked.
    pub certificate: CertificateId,
    /// What the certificate may open: ascending, without overlap; empty if it names nothing.
    pub allowed: Vec<Service>,
    /// The beginning of entries that should name a service and do not, at most four: for people, and not
    /// cleaned either.
    pub malformed: Vec<String>,
}

/// Names a certificate as a revocation list does.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CertificateId {
    /// Whose signature it bears: the authority on the path that was verified.
    pub issuer: IssuerId,
    /// The serial number, big-endian, without leading zero bytes.
    pub serial: Vec<u8>,
}

/// Who has issued a certificate or a revocation list: a name and a key, never a name alone. An authority that was
/// renewed with a new key keeps its name, and is another one. Certificates of one authority, renewed or signed by
/// several others, have one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IssuerId {
    /// SHA-256 of the distinguished name, as it stands in the certificate (DER).
    pub name: [u8; 32],
    /// SHA-256 of the `SubjectPublicKeyInfo` (DER).
    pub key: [u8; 32],
}

impl IssuerId {
    /// Of a name and a `SubjectPublicKeyInfo`, both DER.
    pub(crate) fn of(name: &[u8], public_key_info: &[u8]) -> Self {
        Self { name: sha256(name), key: sha256(public_key_info) }
    }

    /// SHA-256 of both, for whoever needs to know it in fewer bytes.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[self.name, self.key].concat())
    }
}
