//! Who knocked, as the certificate says.

use crate::{IssuerId, Service};

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
