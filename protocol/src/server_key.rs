//! A server's private key, which opens knocks.

use core::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};

use crate::bundle::Bundle;
use crate::crypto::PrivateKey;
use crate::hpke::Opener;
use crate::server_certificate::{ServerCertificate, ServerCertificateError, parsed};
use crate::v2::Veil;

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
        let veil = Veil::new(certificate.sid()).map_err(|_| ServerKeyError::Library)?;
        let hpke = Opener::new(key, certificate.point, &certificate.hpke_info());
        Ok(Self { sid: *certificate.sid(), veil, hpke })
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
