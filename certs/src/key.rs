//! P-256 key pairs, overwritten in memory when dropped; and PKCS#12 output: a key, its certificate and the
//! authority's, under a password.

use p12_keystore::error::Error as KeystoreError;
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use zeroize::{Zeroize, Zeroizing};

use crate::entry::RegisterEntry;
use crate::error::AuthorityError;

/// A key pair, ECDSA with SHA-256 on P-256.
pub(crate) struct P256KeyPair(KeyPair);

impl P256KeyPair {
    pub(crate) fn generate() -> Result<Self, AuthorityError> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(|error| AuthorityError::Encoding { what: "key", why: error.to_string() })
    }

    /// Reads PKCS#8 in PEM; `None` for another format or curve.
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

/// Rounds of PBKDF2 and of the MAC's key derivation. A client decrypts its file at every knock, so this is a
/// delay as well as a defence: about 50 times openssl's default 2048, and still a fraction of a second.
const ITERATIONS: u32 = 100_000;

/// AES-256 under PBES2 with HMAC-SHA256, and an HMAC-SHA256 over the whole content: the defaults of openssl
/// 3.
///
/// Contains the key, the `certificate` of `entry`, and the authority's certificate (both DER).
pub(crate) fn seal(
    entry: &RegisterEntry,
    key: &P256KeyPair,
    certificate: &[u8],
    authority: &[u8],
    password: &str,
) -> Result<Vec<u8>, AuthorityError> {
    check(password)?;
    let encoding = |error: KeystoreError| AuthorityError::Encoding {
        what: "PKCS#12 file",
        why: error.to_string(),
    };
    let chain = PrivateKeyChain::new(
        entry.serial.as_bytes(),
        PrivateKey::from_der(key.pkcs8()).map_err(encoding)?,
        [
            Certificate::from_der(certificate).map_err(encoding)?,
            Certificate::from_der(authority).map_err(encoding)?,
        ],
    );
    let mut store = KeyStore::new();
    store.add_entry(entry.name.as_str(), KeyStoreEntry::PrivateKeyChain(chain));
    store
        .writer(password)
        .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
        .encryption_iterations(ITERATIONS)
        .mac_algorithm(MacAlgorithm::HmacSha256)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(encoding)
}

/// Refuses passwords that other programs cannot type, read from a file's first line, or encode.
pub(crate) fn check(password: &str) -> Result<(), AuthorityError> {
    let why = if password.is_empty() {
        "it is empty"
    } else if password.chars().any(char::is_control) {
        "it contains a control character, such as a tab or a line break"
    } else if password.chars().any(|character| u32::from(character) > 0xffff) {
        // the MAC's key derivation takes a BMPString (RFC 7292, B.1)
        "it contains a character above U+FFFF, such as an emoji, which PKCS#12 does not support"
    } else {
        return Ok(());
    };
    Err(AuthorityError::Password { why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_others_could_not_use_are_refused() {
        for password in ["", "a\nb", "a\tb", "\0", "\u{1f511}"] {
            assert!(
                matches!(check(password), Err(AuthorityError::Password { .. })),
                "{password:?}"
            );
        }
        for password in [" ", r#"back\slash "quote" ' ; % €"#] {
            assert!(check(password).is_ok(), "{password:?}");
        }
    }
}
