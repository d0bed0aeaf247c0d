//! The certificate of a server, as a client has it: the public key that knocks are sealed to. Only P-256 (named
//! curve, uncompressed point) is a server's key.

use core::fmt;

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::bundle::Bundle;
use crate::crypto::{Point, point, sha256};
use crate::timestamp::Validity;

/// Precedes `sid` in HPKE's `info`.
const HPKE_INFO: &[u8] = b"sknock v2 knock";

/// What a client knows of a server: its public key.
#[derive(Clone)]
pub struct ServerCertificate {
    sid: [u8; 32],
    pub(crate) point: Point,
    validity: Validity,
}

/// A certificate that no server can have, and what to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ServerCertificateError {
    /// Not one X.509 certificate in DER.
    #[error("not an X.509 certificate in DER. Convert it: openssl x509 -outform DER")]
    NotACertificate,
    /// There is nothing in it.
    #[error("it is empty. Copy the server certificate to it")]
    Empty,
    /// A PKCS#12 file, of which a client needs no more than the certificate.
    #[error(
        "this is a PKCS#12 file, which holds a private key. Use the server certificate \
         (sknock-ca writes it as SERVER.cer)"
    )]
    Bundle,
    /// The public key is not what a server needs.
    #[error(
        "the server key is not P-256 (named curve, uncompressed point). Issue a server \
         certificate with such a key"
    )]
    NotP256,
    /// A CA's own certificate, which has a key that no server should have.
    #[error(
        "this is the certificate of a CA, not of a server. Use the server certificate (sknock-ca \
         writes it as SERVER.cer)"
    )]
    Authority,
    /// The same, in a file of several certificates.
    #[error(
        "the first certificate in this file is a CA certificate. Put the server certificate \
         before it, or into a file by itself"
    )]
    AuthorityFirst,
}

impl ServerCertificate {
    /// Reads a certificate (DER), as a client has it from a place that it trusts. Nothing about it is believed
    /// but its public key; a CA's is refused, as no server would answer.
    pub fn from_der(der: &[u8]) -> Result<Self, ServerCertificateError> {
        let certificate = parsed(der)?;
        if certificate.is_ca() {
            Err(ServerCertificateError::Authority)
        } else {
            Self::of(&certificate)
        }
    }

    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Result<Self, ServerCertificateError> {
        let spki = certificate.tbs_certificate.subject_pki.raw;
        let point = point(spki).ok_or(ServerCertificateError::NotP256)?;
        Ok(Self { sid: sha256(spki), point, validity: Validity::of(certificate) })
    }

    /// Names the server's key: SHA-256 of the certificate's `SubjectPublicKeyInfo`.
    pub fn sid(&self) -> &[u8; 32] {
        &self.sid
    }

    /// From when until when it says that it holds. Knocks do not depend on it.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    pub(crate) fn hpke_info(&self) -> Vec<u8> {
        [HPKE_INFO, &self.sid].concat()
    }
}

/// One certificate, and nothing behind it.
pub(crate) fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, ServerCertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ if der.is_empty() => Err(ServerCertificateError::Empty),
        _ if Bundle::looks_like(der) => Err(ServerCertificateError::Bundle),
        _ => Err(ServerCertificateError::NotACertificate),
    }
}

impl fmt::Debug for ServerCertificate {
    /// Who knows `sid` can lift the veil, so it is not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerCertificate(..)")
    }
}
