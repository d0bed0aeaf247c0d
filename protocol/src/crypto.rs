//! Cryptographic functions that both protocols use: AES-128-GCM with HKDF-SHA256, SHA-256, points on P-256,
//! and private keys as bytes.
//!
//! A composition of library primitives; there is no cryptography of our own here.

use core::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use zeroize::Zeroizing;

/// Bytes of an AES-128 key.
pub(crate) const KEY_LENGTH: usize = 16;
/// Bytes of an AES-GCM nonce.
pub(crate) const NONCE_LENGTH: usize = 12;
/// Bytes that AES-GCM appends to the ciphertext.
pub(crate) const TAG_LENGTH: usize = 16;

/// An AES-128-GCM key, ready for use. The caller guarantees unique nonces; the library overwrites the key's
/// memory when it frees it (`OPENSSL_free`).
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    pub(crate) fn new(bytes: &[u8; KEY_LENGTH]) -> Result<Self, Unspecified> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, bytes)?)))
    }

    /// HKDF, extract then expand; an empty salt is treated as 32 zero bytes (RFC 5869, 2.2).
    pub(crate) fn derive(ikm: &[u8], salt: &[u8], info: &[u8]) -> Result<Self, Unspecified> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        let extracted = Salt::new(HKDF_SHA256, salt).extract(ikm);
        extracted.expand(&[info], Length(KEY_LENGTH))?.fill(bytes.as_mut())?;
        Self::new(&bytes)
    }

    /// Encrypts `plain` in place and returns the tag to append.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LENGTH],
        aad: &[u8],
        plain: &mut [u8],
    ) -> Result<[u8; TAG_LENGTH], Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), plain)?;
        tag.as_ref().try_into().map_err(|_| Unspecified)
    }

    /// Decrypts `sealed` (ciphertext, tag) in place and returns the plaintext.
    pub(crate) fn open<'a>(
        &self,
        nonce: [u8; NONCE_LENGTH],
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, Aad::from(aad), sealed)
    }

    /// Decrypts `ciphertext` into `plain`, which must have the same length.
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

/// Output length for HKDF-Expand.
pub(crate) struct Length(pub(crate) usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref()); // SHA-256 gives 32 bytes
    hash
}

/// A point on P-256, uncompressed: 04, X, Y.
pub(crate) type Point = [u8; 65];

/// The bytes before the point in a `SubjectPublicKeyInfo` (RFC 5480): id-ecPublicKey, prime256v1, and a bit
/// string of 66 bytes without unused bits.
const PREFIX: &[u8; 26] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// The first byte of an uncompressed point (SEC 1, 2.3.3).
pub(crate) const UNCOMPRESSED: u8 = 4;

/// The point in a `SubjectPublicKeyInfo` (DER); `None` if the structure is another or the point is not on the
/// curve.
pub(crate) fn point(spki: &[u8]) -> Option<Point> {
    let point: Point = spki.strip_prefix(PREFIX)?.try_into().ok()?;
    is_on_curve(&point).then_some(point)
}

fn is_on_curve(point: &Point) -> bool {
    point.starts_with(&[UNCOMPRESSED])
        && ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, point)).is_ok()
}

/// A private key, PKCS#8 in DER. Overwritten when dropped, and never printed.
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// Takes ownership of a key; it is validated at its first use.
    pub fn from_pkcs8(der: Zeroizing<Vec<u8>>) -> Self {
        Self(der)
    }

    /// The key, PKCS#8 in DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.0
    }

    /// The public key as in the bit string of a `SubjectPublicKeyInfo`: for elliptic curves the uncompressed
    /// point. `None` for keys other than P-256, P-384, Ed25519 and RSA of 2048 to 8192 bits.
    pub(crate) fn public_key(&self) -> Option<Vec<u8>> {
        let pkcs8 = self.pkcs8();
        for curve in [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve, pkcs8) {
                return Some(pair.public_key().as_ref().to_vec());
            }
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
            return Some(pair.public_key().as_ref().to_vec());
        }
        let pair = rsa::KeyPair::from_pkcs8(pkcs8).ok()?;
        Some(pair.public_key().as_ref().to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData};

    use super::*;

    #[test]
    fn only_an_uncompressed_point_on_the_curve_passes() {
        let spki =
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().subject_public_key_info();
        assert_eq!(point(&spki).unwrap()[..], spki[26..]);

        for at in [0, 1, 10, 25, 26, 90] {
            let mut altered = spki.clone();
            altered[at] ^= 2;
            assert_eq!(point(&altered), None, "byte {at}");
        }
        assert_eq!(point(&spki[..90]), None);
        assert_eq!(point(&[&spki[..], &[0]].concat()), None);
    }

    #[test]
    fn another_curve_does_not_pass() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(point(&key.subject_public_key_info()), None);
    }
}
