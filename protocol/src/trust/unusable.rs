//! CA certificates that are configured but not used, each with its reason.

use aws_lc_rs::rsa::PublicEncryptingKey;
use pki_types::alg_id;
use webpki::Error;
use x509_parser::asn1_rs::FromDer;
use x509_parser::oid_registry::OID_X509_EXT_NAME_CONSTRAINTS;
use x509_parser::prelude::X509Certificate;

use super::points::DIRECTORY_NAME;
use super::signature::{self, SIGNATURES};
use crate::der::{self, DerElements, NotDer};

/// A CA certificate that is not used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnfitAuthority {
    /// Which one of those given, counted from 1.
    pub number: usize,
    /// Why not.
    pub why: UnusableCa,
}

/// Why a CA certificate is not used; after a semicolon, what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableCa {
    /// None of the accepted algorithms takes its key: another kind, other parameters, another size.
    #[error(
        "its key type is not supported. Supported are ECDSA with P-256 or P-384 (as named \
         curves), Ed25519, and RSA with 2048 to 8192 bits"
    )]
    Key,
    /// RFC 5280, 6.1.4 (n).
    #[error(
        "its keyUsage lacks keyCertSign, so it must not sign certificates. Reissue that CA \
             certificate"
    )]
    MayNotSign,
    /// `rustls-webpki` cannot compare distinguished names, and refuses every certificate below then.
    #[error(
        "its nameConstraints have a directoryName, which is not supported here: nobody below it would be let in; \
         reissue it without"
    )]
    DirectoryNameConstraint,
    /// Not for anchors: of those, name and key count (RFC 5280, 6.1.1 d).
    #[error(
        "it has an unknown critical extension: {}. Reissue it without that extension, or with it \
         as not critical",
        .oids.join(", ")
    )]
    CriticalExtension {
        /// The object identifiers, in dots, in the certificate's order.
        oids: Vec<String>,
    },
    /// A certificate, but not as RFC 5280 has it.
    #[error("it is malformed ({0}). Reissue it")]
    Malformed(String),
}

impl UnusableCa {
    /// The defect of a certificate by itself, whatever its issuers.
    pub(super) fn by_itself(certificate: &X509Certificate<'_>) -> Option<Self> {
        if !is_supported(certificate.public_key().raw) {
            return Some(Self::Key);
        }
        match certificate.key_usage() {
            Err(error) => Some(Self::Malformed(format!("keyUsage: {error}"))),
            Ok(Some(usage)) if !usage.value.key_cert_sign() => Some(Self::MayNotSign),
            Ok(_) => name_constraints(certificate),
        }
    }

    /// Why `rustls-webpki` refuses a certificate (DER).
    pub(super) fn refused(error: &Error, certificate: &[u8]) -> Self {
        match (error, not_understood(certificate)) {
            (Error::UnsupportedCriticalExtension, oids) if !oids.is_empty() => {
                Self::CriticalExtension { oids }
            }
            _ => Self::Malformed(error.to_string()),
        }
    }
}

/// What of nameConstraints (RFC 5280, 4.2.1.10) refuses every certificate below, whatever names it has.
fn name_constraints(certificate: &X509Certificate<'_>) -> Option<UnusableCa> {
    let malformed = || UnusableCa::Malformed("nameConstraints are not as RFC 5280 says".into());
    let Ok(extension) = certificate.get_extension_unique(&OID_X509_EXT_NAME_CONSTRAINTS) else {
        return Some(malformed());
    };
    match bases(extension?.value) {
        Ok(tags) if tags.contains(&DIRECTORY_NAME) => Some(UnusableCa::DirectoryNameConstraint),
        Ok(_) => None,
        Err(NotDer) => Some(malformed()),
    }
}

/// The tags of all kinds of `GeneralName`.
const GENERAL_NAMES: [u8; 9] = [0xa0, 0x81, 0x82, 0xa3, DIRECTORY_NAME, 0xa5, 0x86, 0x87, 0x88];

/// The tags of the names in `NameConstraints ::= SEQUENCE { permitted [0], excluded [1] }`, each optional and a
/// list of `SEQUENCE { base GeneralName }`: more is in no certificate of today, and is not read.
fn bases(extension: &[u8]) -> Result<Vec<u8>, NotDer> {
    let mut lists = DerElements::new(der::only(extension, der::SEQUENCE)?);
    let mut tags = Vec::new();
    for tag in [der::CONTEXT_0, der::CONTEXT_0 + 1] {
        let Some(subtrees) = lists.optional(tag)? else { continue };
        let mut subtrees = DerElements::new(subtrees.content);
        while !subtrees.is_at_end() {
            let mut subtree = DerElements::new(subtrees.one(der::SEQUENCE)?.content);
            let base = subtree.any()?.tag;
            subtree.end()?;
            if !GENERAL_NAMES.contains(&base) {
                return Err(NotDer);
            }
            tags.push(base);
        }
    }
    lists.end()?;
    Ok(tags)
}

/// Whether one of [`SIGNATURES`] can verify anything with the key of this `SubjectPublicKeyInfo`. They
/// are asked, not described: the algorithm with its parameters, then the library that would read the key.
pub(super) fn is_supported(info: &[u8]) -> bool {
    let Ok((kind, key)) = der::public_key(info) else { return false };
    if !SIGNATURES.iter().any(|algorithm| algorithm.public_key_alg_id().as_ref() == kind) {
        return false;
    }
    if kind == alg_id::RSA_ENCRYPTION.as_ref() {
        // It is the one that looks at the size without a signature, and has the same limits.
        return PublicEncryptingKey::from_der(info).is_ok();
    }
    signature::read_key(kind, key).is_some()
}

/// What `rustls-webpki` understands: keyUsage, subjectAltName, basicConstraints, nameConstraints,
/// cRLDistributionPoints and extKeyUsage of RFC 5280.
const UNDERSTOOD: [&str; 6] =
    ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"];

/// The critical extensions but those.
fn not_understood(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let critical = certificate.extensions().iter().filter(|extension| extension.critical);
    let oids = critical.map(|extension| extension.oid.to_id_string());
    oids.filter(|oid| !UNDERSTOOD.contains(&oid.as_str())).collect()
}
