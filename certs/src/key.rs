//! Key pairs on P-256, wiped from memory when dropped.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use zeroize::{Zeroize, Zeroizing};

use crate::AuthorityError;

/// A key pair, ECDSA with SHA-256 on P-256.
pub(crate) struct P256KeyPair(KeyPair);

impl P256KeyPair {
    pub(crate) fn generate() -> Result<Self, AuthorityError> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(|error| AuthorityError::Encoding { what: "key", why: error.to_string() })
    }

    /// Reads PKCS#8 in PEM; nothing if it is no such key, or on another curve.
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        KeyPair::from_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256).map(Self).ok()
    }

    /// PKCS#8 in PEM.
    pub(crate) fn pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// PKCS#8 in DER.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        self.0.serialized_der()
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl Drop for P256KeyPair {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
