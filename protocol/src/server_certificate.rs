//! A server's certificate on the client: the public key to which knocks are encrypted. Only P-256 (named
//! curve, uncompressed point) is accepted.

use core::fmt;

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::bundle::Bundle;
use crate::crypto::{Point, point, sha256};
use crate::timestamp::Validity;

/// Precedes `sid` in HPKE's `info`.
const HPKE_INFO: &[u8] = b"sknock v2 knock";

/// The server's public key.
#[derive(Clone)]
pub struct ServerCertificate {
    sid: [u8; 32],
    pub(crate) point: Point,
    validity: Validity,
}

/// Reasons why a certificate cannot be a server's, each with a remedy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ServerCertificateError {
    /// Not one X.509 certificate in DER.
    #[error("not an X.509 certificate in DER. Convert it: openssl x509 -outform DER")]
    NotACertificate,
    /// The file is empty.
    #[error("it is empty. Copy the server certificate to it")]
    Empty,
    /// A PKCS#12 file; a client only needs the certificate.
    #[error(
        "this is a PKCS#12 file, which holds a private key. Use the server certificate \
         (sknock-ca writes it as SERVER.cer)"
    )]
    Bundle,
    /// An unsupported public key.
    #[error(
        "the server key is not P-256 (named curve, uncompressed point). Issue a server \
         certificate with such a key"
    )]
    NotP256,
    /// A CA certificate; a server must not have a CA's key.
    #[error(
        "this is the certificate of a CA, not of a server. Use the server certificate (sknock-ca \
         writes it as SERVER.cer)"
    )]
    Authority,
    /// Like `Authority`, in a file of several certificates.
    #[error(
        "the first certificate in this file is a CA certificate. Put the server certificate \
         before it, or into a file by itself"
    )]
    AuthorityFirst,
}

impl ServerCertificate {
    /// Reads a certificate (DER) from a source that the client trusts. Only its public key is used; a CA
    /// certificate is refused, because no server would answer.
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

    /// Identifies the server's key: SHA-256 of the certificate's `SubjectPublicKeyInfo`.
    pub fn sid(&self) -> &[u8; 32] {
        &self.sid
    }

    /// The certificate's validity period. Knocks do not depend on it.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    pub(crate) fn hpke_info(&self) -> Vec<u8> {
        [HPKE_INFO, &self.sid].concat()
    }
}

/// Exactly one certificate; trailing bytes are an error.
pub(crate) fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, ServerCertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ if der.is_empty() => Err(ServerCertificateError::Empty),
        _ if Bundle::looks_like(der) => Err(ServerCertificateError::Bundle),
        _ => Err(ServerCertificateError::NotACertificate),
    }
}

impl fmt::Debug for ServerCertificate {
    /// `sid` is the key of the veil, so it is not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerCertificate(..)")
    }
}
