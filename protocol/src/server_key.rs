//! A server's private key, which decrypts knocks.

use core::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};

use crate::bundle::Bundle;
use crate::crl::RevocationList;
use crate::crypto::{PrivateKey, sha256};
use crate::hpke::Opener;
use crate::server_certificate::{ServerCertificate, ServerCertificateError, parsed};
use crate::v2::Veil;
use crate::v2::tag::TagKey;

/// A server's private key, ready for decryption, with the properties of its certificate.
pub struct ServerKey {
    sid: [u8; 32],
    /// SHA-256 of the certificate's issuer name (DER).
    issuer_dn: [u8; 32],
    serial: Vec<u8>,
    pub(crate) veil: Veil,
    tags: TagKey,
    pub(crate) hpke: Opener,
}

/// Reasons why a server cannot use its key, each with a remedy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ServerKeyError {
    /// Not a certificate, or not with a server's key.
    #[error(transparent)]
    Certificate(#[from] ServerCertificateError),
    /// Key and certificate do not match.
    #[error(
        "the private key does not belong to the certificate. Use the key and certificate \
             that were created together"
    )]
    NotAPair,
    /// The cryptographic library failed, which only happens without memory.
    #[error("the cryptographic library failed. Check whether memory is available")]
    Library,
}

impl ServerKey {
    /// Takes `key` (PKCS#8) with its `certificate` (DER).
    pub fn new(key: &PrivateKey, certificate: &[u8]) -> Result<Self, ServerKeyError> {
        // The private key proves that the certificate is the server's, whatever its other usages.
        let x509 = parsed(certificate)?;
        let (issuer_dn, serial) = (sha256(x509.issuer().as_raw()), x509.raw_serial().to_vec());
        let certificate = ServerCertificate::of(&x509)?;
        let key = agreement::PrivateKey::from_private_key_der(&ECDH_P256, key.pkcs8())
            .map_err(|_| ServerKeyError::NotAPair)?;
        let public = key.compute_public_key().map_err(|_| ServerKeyError::Library)?;
        if public.as_ref() != certificate.point {
            return Err(ServerKeyError::NotAPair);
        }
        let veil = Veil::new(certificate.sid()).map_err(|_| ServerKeyError::Library)?;
        let tags = TagKey::new(certificate.sid()).ok_or(ServerKeyError::Library)?;
        let hpke = Opener::new(key, certificate.point, &certificate.hpke_info());
        Ok(Self { sid: *certificate.sid(), issuer_dn, serial, veil, tags, hpke })
    }

    /// Takes the key and its certificate from a PKCS#12 file.
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, ServerKeyError> {
        Self::new(bundle.key(), bundle.certificate())
    }

    /// Identifies the server's key: SHA-256 of the certificate's `SubjectPublicKeyInfo`.
    pub fn sid(&self) -> &[u8; 32] {
        &self.sid
    }

    /// Makes the tags that knocks to this server have.
    pub fn tags(&self) -> &TagKey {
        &self.tags
    }

    /// Whether a CRL contains this key's certificate, by the name of its issuer. For a warning only: of
    /// several authorities with one name, another may have issued the CRL.
    pub fn is_on(&self, list: &RevocationList) -> bool {
        list.is_of(&self.issuer_dn) && list.contains(&self.serial)
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(..)")
    }
}
