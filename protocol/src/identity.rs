//! A client's identity: a signing key and its certificate.

use core::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, Signature,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::bundle::Bundle;
use crate::crypto::PrivateKey;
use crate::timestamp::Validity;
use crate::trust::is_for_clients;

/// A client's signing key and its certificate.
pub struct Identity {
    key: SigningKey,
    certificate: Vec<u8>,
    validity: Validity,
    for_clients: bool,
}

/// Reasons why a key and certificate cannot be used for knocks, each with a remedy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// RSA, another curve, or no key at all.
    #[error("the client key is not P-256, P-384 or Ed25519. Request a certificate for such a key")]
    UnfitKey,
    /// Not one X.509 certificate in DER.
    #[error("the client certificate is not X.509 in DER. Convert it: openssl x509 -outform DER")]
    NotACertificate,
    /// Key and certificate do not match.
    #[error(
        "the private key does not belong to the certificate. Use the key and certificate \
             that were created together"
    )]
    NotAPair,
}

impl Identity {
    /// Takes `key` (PKCS#8; P-256, P-384 or Ed25519) with its `certificate` (DER).
    pub fn new(key: &PrivateKey, certificate: &[u8]) -> Result<Self, IdentityError> {
        let key = SigningKey::new(key).ok_or(IdentityError::UnfitKey)?;
        let (rest, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| IdentityError::NotACertificate)?;
        if !rest.is_empty() {
            return Err(IdentityError::NotACertificate);
        }
        if *parsed.public_key().subject_public_key.data != *key.public() {
            return Err(IdentityError::NotAPair);
        }
        let for_clients = is_for_clients(&parsed).unwrap_or(false);
        let validity = Validity::of(&parsed);
        Ok(Self { key, certificate: certificate.to_vec(), validity, for_clients })
    }

    /// Takes the key and its certificate from a PKCS#12 file.
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, IdentityError> {
        Self::new(bundle.key(), bundle.certificate())
    }

    /// The certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate's validity period.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether the certificate permits client authentication and signatures, which v2 requires.
    pub fn is_for_clients(&self) -> bool {
        self.for_clients
    }

    /// Whether the key is on P-256.
    pub(crate) fn is_p256(&self) -> bool {
        matches!(self.key, SigningKey::P256(_))
    }

    /// Bytes of the longest signature that the key can make.
    pub(crate) fn max_signature(&self) -> usize {
        match self.key {
            // DER: a sequence of two integers of up to 33 (P-256) or 49 bytes (P-384), each of the three with
            // 2 bytes before it.
            SigningKey::P256(_) => 72,
            SigningKey::P384(_) => 104,
            SigningKey::Ed25519(_) => 64,
        }
    }

    /// ECDSA in minimal DER, or Ed25519's 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Signature, Unspecified> {
        match &self.key {
            SigningKey::P256(key) | SigningKey::P384(key) => {
                key.sign(&SystemRandom::new(), message)
            }
            SigningKey::Ed25519(key) => key.try_sign(message),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// The library overwrites the memory of these keys when it frees it.
enum SigningKey {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    fn new(key: &PrivateKey) -> Option<Self> {
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            EcdsaKeyPair::from_pkcs8(algorithm, key.pkcs8()).ok()
        };
        ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map(Self::P256)
            .or_else(|| ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Self::P384))
            .or_else(|| Ed25519KeyPair::from_pkcs8(key.pkcs8()).ok().map(Self::Ed25519))
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::P256(key) | Self::P384(key) => key.public_key().as_ref(),
            Self::Ed25519(key) => key.public_key().as_ref(),
        }
    }
}
