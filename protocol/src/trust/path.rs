//! From a client certificate to the anchors. The work is `rustls-webpki`'s; it gets no revocation
//! list, as it would verify the list's signature for every packet.
//!
//! An intermediate that several have signed gives several paths. All are collected, as a list may refuse some
//! of them, and some end later than others.

use std::cell::RefCell;

use pki_types::CertificateDer;
use webpki::{EndEntityCert, Error, VerifiedPath};
use x509_parser::asn1_rs::FromDer;
use x509_parser::prelude::X509Certificate;

use super::TrustStore;
use super::signature::SIGNATURES;
use super::verify_client::{FoundPath, Usage, VerifiedCertificate};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// Paths of one certificate that are collected, in the order of the authorities. `rustls-webpki` verifies 100
/// signatures for one certificate at most, which may end the search earlier.
pub(super) const MOST_PATHS: usize = 16;

pub(super) fn verify(
    trust_store: &TrustStore,
    (certificate, fingerprint): (&[u8], [u8; 32]),
    usage: Usage,
    now: Timestamp,
) -> Result<VerifiedCertificate, Refusal> {
    let der = CertificateDer::from(certificate);
    let leaf = EndEntityCert::try_from(&der).map_err(|_| Refusal::BadCertificate)?;
    let found = RefCell::new(Vec::new());
    let verdict = leaf.verify_for_usage(
        SIGNATURES,
        &trust_store.roots,
        &trust_store.intermediates,
        now.into(),
        usage,
        None,
        Some(&|path| collect(trust_store, path, &mut found.borrow_mut())),
    );
    let found = found.into_inner();
    // The paths found so far are valid, whatever ended the search.
    verdict
        .map(drop)
        .or_else(|error| if found.is_empty() { Err(refusal(&error)) } else { Ok(()) })?;
    let (_, leaf) = X509Certificate::from_der(certificate).map_err(|_| Refusal::BadCertificate)?;
    usage.check_leaf(&leaf)?;
    let epoch = trust_store.epoch(now);
    VerifiedCertificate::new(&leaf, (fingerprint, usage), &found, epoch)
}

/// Takes a path. An error lets the search for others continue.
fn collect(
    trust_store: &TrustStore,
    path: &VerifiedPath<'_>,
    found: &mut Vec<FoundPath>,
) -> Result<(), Error> {
    let anchor = trust_store.id_of(path.anchor()).ok_or(Error::UnknownIssuer)?;
    let intermediates =
        path.intermediate_certificates().map(|one| one.der().as_ref().to_vec()).collect();
    let path = FoundPath { intermediates, anchor };
    // An anchor may be given in several certificates.
    if !found.contains(&path) {
        found.push(path);
    }
    // Without branches there is no second path: a longer search would only verify more signatures.
    let most = if trust_store.branches { MOST_PATHS } else { 1 };
    if found.len() < most { Err(Error::UnknownIssuer) } else { Ok(()) }
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::CertExpired { .. } => Refusal::CertificateExpired,
        Error::CertNotValidYet { .. } => Refusal::CertificateNotYetValid,
        Error::RequiredEkuNotFoundContext(_)
        | Error::EmptyEkuExtension
        | Error::CaUsedAsEndEntity => Refusal::NotAClientCertificate,
        Error::BadDer
        | Error::BadDerTime
        | Error::InvalidCertValidity
        | Error::TrailingData(_)
        | Error::MalformedExtensions
        | Error::ExtensionValueInvalid => Refusal::BadCertificate,
        // no issuer, a wrong signature, a constraint of the path, or one that is too complex
        _ => Refusal::UnknownAuthority,
    }
}
