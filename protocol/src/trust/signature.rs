//! The outer structure of certificates and CRLs (RFC 5280, 4.1 and 5.1): a signature, and the check of its
//! key.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use pki_types::{SignatureVerificationAlgorithm, alg_id};
use webpki::aws_lc_rs as algorithm;

use crate::der::{self, DerElements, NotDer};

/// What authorities may sign certificates and revocation lists with. RSA keys have 2048 to 8192
/// bits; no SHA-1.
pub(super) static SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithm::ECDSA_P256_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ED25519,
    algorithm::ECDSA_P256_SHA384,
    algorithm::ECDSA_P256_SHA512,
    algorithm::ECDSA_P384_SHA256,
    algorithm::ECDSA_P384_SHA512,
    algorithm::RSA_PKCS1_2048_8192_SHA256,
    algorithm::RSA_PKCS1_2048_8192_SHA384,
    algorithm::RSA_PKCS1_2048_8192_SHA512,
    algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Reads the key of a client, or of an authority other than RSA. `kind` is the content of its algorithm
/// identifier. Points are uncompressed or compressed (RFC 5480, 2.2), Ed25519 keys are raw (RFC 8410, 4): the
/// library also takes hybrid points, and a whole `SubjectPublicKeyInfo` in place of a key.
pub(super) fn read_key(kind: &[u8], key: &[u8]) -> Option<ParsedPublicKey> {
    let has_form = match kind {
        kind if kind == alg_id::ED25519.as_ref() => key.len() == 32,
        _ => matches!(key.first(), Some(2..=4)),
    };
    let algorithm = of_key(kind).filter(|_| has_form)?;
    ParsedPublicKey::new(algorithm, key).ok()
}

/// The one algorithm of a key. None for RSA.
pub(super) fn of_key(kind: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    match kind {
        kind if kind == alg_id::ECDSA_P256.as_ref() => Some(&ECDSA_P256_SHA256_ASN1),
        kind if kind == alg_id::ECDSA_P384.as_ref() => Some(&ECDSA_P384_SHA384_ASN1),
        kind if kind == alg_id::ED25519.as_ref() => Some(&ED25519),
        _ => None,
    }
}

/// The signature of a certificate or a CRL (DER). [`IssuerSignature::verify`] identifies the signer; key
/// identifiers do not, because the signer chooses them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IssuerSignature<'a> {
    /// What it is over: the first element of three.
    pub(crate) signed: &'a [u8],
    /// The content of the algorithm identifier.
    algorithm: &'a [u8],
    bytes: &'a [u8],
}

/// The signature is not by this key, or cannot be checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotSigned {
    /// The algorithm is not accepted, or not with such a key.
    Unsupported,
    /// The key is another's, or something was altered.
    Wrong,
}

impl<'a> IssuerSignature<'a> {
    /// Finds it in a certificate or a list.
    pub(crate) fn of(whole: &'a [u8]) -> Result<Self, NotDer> {
        let mut outer = DerElements::new(der::only(whole, der::SEQUENCE)?);
        let signed = outer.one(der::SEQUENCE)?.whole;
        let algorithm = outer.one(der::SEQUENCE)?.content;
        let bytes = der::whole_bytes(outer.one(der::BIT_STRING)?.content)?;
        outer.end()?;
        Ok(Self { signed, algorithm, bytes })
    }

    /// The content of the algorithm identifier.
    pub(crate) fn algorithm(&self) -> &'a [u8] {
        self.algorithm
    }

    /// Whether it is by this key: the content of its algorithm identifier, and the key itself.
    pub(crate) fn verify(&self, (kind, key): (&[u8], &[u8])) -> Result<(), NotSigned> {
        let fits = SIGNATURES.iter().filter(|algorithm| {
            algorithm.signature_alg_id().as_ref() == self.algorithm
                && algorithm.public_key_alg_id().as_ref() == kind
        });
        let mut refused = NotSigned::Unsupported;
        for algorithm in fits {
            match algorithm.verify_signature(key, self.signed, self.bytes) {
                Ok(()) => return Ok(()),
                Err(_) => refused = NotSigned::Wrong,
            }
        }
        Err(refused)
    }
}
