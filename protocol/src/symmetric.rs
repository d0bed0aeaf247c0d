//! The symmetric half of v2: HKDF-SHA256 to AES-128-GCM keys, and their use in place.
//!
//! A composition of library primitives; no cryptography of our own lives here.

use core::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// Bytes of an AES-128 key.
pub(crate) const KEY_LENGTH: usize = 16;
/// Bytes of an AES-GCM nonce.
pub(crate) const NONCE_LENGTH: usize = 12;
/// Bytes that AES-GCM adds to what it encrypts.
pub(crate) const TAG_LENGTH: usize = 16;

/// An AES-128-GCM key, ready for use. Nonces are the caller's duty; that the key's memory is
/// overwritten when it is freed is the library's (`OPENSSL_free`).
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    pub(crate) fn new(bytes: &[u8; KEY_LENGTH]) -> Result<Self, Unspecified> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, bytes)?)))
    }

    /// HKDF, extract then expand; an empty salt counts as 32 zero bytes (RFC 5869, 2.2).
    pub(crate) fn derive(ikm: &[u8], salt: &[u8], info: &[u8]) -> Result<Self, Unspecified> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        let extracted = Salt::new(HKDF_SHA256, salt).extract(ikm);
        extracted.expand(&[info], Length(KEY_LENGTH))?.fill(bytes.as_mut())?;
        Self::new(&bytes)
    }

    /// Encrypts `plain` where it stands and returns the tag that belongs behind it.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LENGTH],
        plain: &mut [u8],
    ) -> Result<[u8; TAG_LENGTH], Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), plain)?;
        tag.as_ref().try_into().map_err(|_| Unspecified)
    }

    /// Decrypts `sealed` (ciphertext, tag) where it stands and returns the plaintext in it.
    pub(crate) fn open<'a>(
        &self,
        nonce: [u8; NONCE_LENGTH],
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, Aad::from(aad), sealed)
    }

    /// Decrypts `ciphertext` to `plain`, which must be as long.
    pub(crate) fn open_apart(
        &self,
        nonce: [u8; NONCE_LENGTH],
        ciphertext: &[u8],
        tag: &[u8; TAG_LENGTH],
        plain: &mut [u8],
    ) -> Result<(), Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_separate_gather(nonce, Aad::empty(), ciphertext, tag, plain)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How many bytes to expand to.
pub(crate) struct Length(pub(crate) usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
