//! Who has issued a certificate or a revocation list: a name and a key, never a name alone. An
//! authority that was renewed with a new key keeps its name, and is another one.

use crate::sha256::sha256;

/// An authority, by what binds a certificate to it. Certificates of one authority, renewed or signed by
/// several others, have one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IssuerId {
    /// SHA-256 of the distinguished name, as it stands in the certificate (DER).
    pub name: [u8; 32],
    /// SHA-256 of the `SubjectPublicKeyInfo` (DER).
    pub key: [u8; 32],
}

impl IssuerId {
    /// Of a name and a `SubjectPublicKeyInfo`, both DER.
    pub(crate) fn of(name: &[u8], public_key_info: &[u8]) -> Self {
        Self { name: sha256(name), key: sha256(public_key_info) }
    }

    /// SHA-256 of both, for whoever needs to know it in fewer bytes.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[self.name, self.key].concat())
    }
}
