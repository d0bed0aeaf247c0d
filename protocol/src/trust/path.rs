//! From a client certificate to an anchor. The work is `rustls-webpki`'s; it gets no revocation
//! list, as it would verify the list's signature for every packet.

use pki_types::CertificateDer;
use webpki::{EndEntityCert, Error};
use x509_parser::asn1_rs::FromDer;
use x509_parser::prelude::X509Certificate;

use super::signature::SIGNATURES;
use super::{TrustStore, Usage, VerifiedCertificate, verify_client};
use crate::{Refusal, Timestamp};

pub(super) fn verify(
    trust_store: &TrustStore,
    (certificate, fingerprint): (&[u8], [u8; 32]),
    usage: Usage,
    now: Timestamp,
) -> Result<VerifiedCertificate, Refusal> {
    let der = CertificateDer::from(certificate);
    let leaf = EndEntityCert::try_from(&der).map_err(|_| Refusal::BadCertificate)?;
    let path = leaf.verify_for_usage(
        SIGNATURES,
        &trust_store.roots,
        &trust_store.intermediates,
        now.into(),
        usage,
        None,
        None,
    );
    let path = path.map_err(|error| refusal(&error))?;
    let (_, leaf) = X509Certificate::from_der(certificate).map_err(|_| Refusal::BadCertificate)?;
    usage.check_leaf(&leaf)?;
    let anchor = trust_store.id_of(path.anchor()).ok_or(Refusal::UnknownAuthority)?;
    verify_client::from_path(&leaf, (fingerprint, usage), &path, anchor)
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
