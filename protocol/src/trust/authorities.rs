//! A CA certificate, and what one must be. Read once at start, from files that the administrator
//! chose.

use x509_parser::asn1_rs::FromDer;
use x509_parser::prelude::X509Certificate;

use super::believed;
use crate::sha256::sha256;
use crate::{CertificateId, der};

/// Why there is nobody to believe, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrustError {
    /// None of the certificates can be an anchor.
    #[error(
        "none of the {certificates} certificates given is a root: a self-issued certificate with \
         basicConstraints CA:TRUE; put the root CA's certificate into the server's PKCS#12 file \
         (openssl pkcs12 -export -certfile ...) or into caFile"
    )]
    NoAnchor {
        /// How many certificates were given.
        certificates: usize,
    },
    /// One of the certificates cannot be used at all.
    #[error("CA certificate number {number} cannot be used ({why}); replace it or take it out")]
    Unreadable {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// A CA certificate as the issuer of certificates and revocation lists.
#[derive(Clone, Debug)]
pub struct Issuer {
    id: [u8; 32],
    certificate: CertificateId,
    name: String,
    is_anchor: bool,
    signs_lists: bool,
    public_key_info: Vec<u8>,
}

impl Issuer {
    /// Reads a certificate (DER), and gives nothing if it is no CA certificate.
    pub(super) fn read(certificate: &[u8]) -> Result<Option<Self>, String> {
        let (rest, parsed) =
            X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("bytes follow the certificate".into());
        }
        if !parsed.is_ca() {
            return Ok(None);
        }
        let public_key_info = parsed.public_key().raw;
        der::public_key(public_key_info).map_err(|_| "its public key is not in DER")?;
        let usage = parsed.key_usage().map_err(|error| error.to_string())?;
        Ok(Some(Self {
            id: sha256(parsed.subject().as_raw()),
            certificate: believed::id(&parsed),
            name: parsed.subject().to_string(),
            is_anchor: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            signs_lists: usage.is_none_or(|usage| usage.value.crl_sign()),
            public_key_info: public_key_info.to_vec(),
        }))
    }

    /// SHA-256 of the subject's distinguished name (DER), as in
    /// [`CertificateId::issuer`](crate::CertificateId::issuer).
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// By which its own certificate is revoked.
    pub fn certificate(&self) -> &CertificateId {
        &self.certificate
    }

    /// The distinguished name, for people. Not cleaned: escape it before printing.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is trusted by itself, rather than by what is above it.
    pub fn is_anchor(&self) -> bool {
        self.is_anchor
    }

    /// Whether it may sign revocation lists: keyUsage has cRLSign, or there is no keyUsage.
    pub fn signs_lists(&self) -> bool {
        self.signs_lists
    }

    /// The algorithm identifier's content, and the key, of its public key.
    pub(crate) fn public_key(&self) -> Result<(&[u8], &[u8]), der::NotDer> {
        der::public_key(&self.public_key_info)
    }
}
