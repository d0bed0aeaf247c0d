//! A server's key, on both sides: the certificate that a client seals to, and the private key that
//! opens. Only P-256 (named curve, uncompressed point) is a server's key.

use core::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::hpke::Opener;
use crate::p256::{self, Point};
use crate::sha256::sha256;
use crate::v2::Veil;
use crate::{Bundle, PrivateKey, Validity};

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

    fn of(certificate: &X509Certificate<'_>) -> Result<Self, ServerCertificateError> {
        let spki = certificate.tbs_certificate.subject_pki.raw;
        let point = p256::point(spki).ok_or(ServerCertificateError::NotP256)?;
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
fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, ServerCertificateError> {
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

/// A server's private key, ready to open knocks, and what follows from its certificate.
pub struct ServerKey {
    sid: [u8; 32],
    pub(crate) veil: Veil,
    pub(crate) hpke: Opener,
}

/// Why a server cannot use its key, and what to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ServerKeyError {
    /// The certificate is none, or its key is no server's.
    #[error(transparent)]
    Certificate(#[from] ServerCertificateError),
    /// Key and certificate are not a pair.
    #[error(
        "the private key does not belong to the certificate. Use the key and certificate \
             that were created together"
    )]
    NotAPair,
    /// The cryptographic library failed, which it only does without memory.
    #[error("the cryptographic library failed. Check whether memory is available")]
    Library,
}

impl ServerKey {
    /// Takes `key` (PKCS#8) with its `certificate` (DER).
    pub fn new(key: &PrivateKey, certificate: &[u8]) -> Result<Self, ServerKeyError> {
        // Where the key is there, it is the server's, whatever else it is used for.
        let certificate = ServerCertificate::of(&parsed(certificate)?)?;
        let key = agreement::PrivateKey::from_private_key_der(&ECDH_P256, key.pkcs8())
            .map_err(|_| ServerKeyError::NotAPair)?;
        let public = key.compute_public_key().map_err(|_| ServerKeyError::Library)?;
        if public.as_ref() != certificate.point {
            return Err(ServerKeyError::NotAPair);
        }
        let veil = Veil::new(&certificate.sid).map_err(|_| ServerKeyError::Library)?;
        let hpke = Opener::new(key, certificate.point, &certificate.hpke_info());
        Ok(Self { sid: certificate.sid, veil, hpke })
    }

    /// Takes the key and its certificate from a PKCS#12 file.
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, ServerKeyError> {
        Self::new(bundle.key(), bundle.certificate())
    }

    /// Names the server's key: SHA-256 of the certificate's `SubjectPublicKeyInfo`.
    pub fn sid(&self) -> &[u8; 32] {
        &self.sid
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(..)")
    }
}
