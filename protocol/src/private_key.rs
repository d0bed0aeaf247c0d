//! A private key as bytes, and which certificates belong to it. Signing is not done here.

use core::fmt;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use zeroize::Zeroizing;

/// A private key, PKCS#8 in DER. Overwritten when dropped, and never printed.
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// Takes a key over; whether it is one shows when it is used.
    pub fn from_pkcs8(der: Zeroizing<Vec<u8>>) -> Self {
        Self(der)
    }

    /// The key, PKCS#8 in DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.0
    }

    /// The public key, as it stands in the bit string of a `SubjectPublicKeyInfo`: for
    /// elliptic curves the uncompressed point. `None` for keys other than P-256, P-384, Ed25519 and RSA of
    /// 2048 to 8192 bits.
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
