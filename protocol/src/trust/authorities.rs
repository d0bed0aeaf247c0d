//! CA certificates, their requirements and their relations: which one signed which, and which are anchors.
//! Signatures decide, because several may have one name. Read once at start, from files that the
//! administrator chose.

use std::collections::BTreeSet;

use sknock_types::hex;
use x509_parser::asn1_rs::FromDer;
use x509_parser::prelude::X509Certificate;

use super::points::PointName;
use super::signature::IssuerSignature;
use super::unusable::{UnfitAuthority, UnusableCa};
use super::verify_client;
use crate::crypto::sha256;
use crate::der;
use crate::subject::{CertificateId, IssuerId};
use crate::timestamp::{Timestamp, Validity};

/// Reasons why no authority can be used, each with a remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrustError {
    /// No certificate can be an anchor.
    #[error(
        "none of the {certificates} certificates is a usable root: a self-signed certificate \
         with basicConstraints CA:TRUE. Put the root CA certificate into the PKCS#12 file of the \
         server (openssl pkcs12 -export -certfile ...) or into caFile"
    )]
    NoAnchor {
        /// How many certificates were given.
        certificates: usize,
        /// The CA certificates that are not used, in their order.
        unfit: Vec<UnfitAuthority>,
    },
    /// An item that is not a usable certificate.
    #[error("CA certificate number {number} is unusable ({why}). Replace or remove it")]
    Unreadable {
        /// Its number, counted from 1.
        number: usize,
        /// The defect.
        why: String,
    },
}

/// A CA certificate as the issuer of certificates and revocation lists.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(super) id: IssuerId,
    pub(super) serial: Vec<u8>,
    /// SHA-256 of the issuer's name.
    pub(super) signed_by_name: [u8; 32],
    /// The authorities that signed it. Empty for an anchor.
    pub(super) signed_by: Vec<IssuerId>,
    pub(super) name: String,
    pub(super) is_anchor: bool,
    pub(super) validity: Validity,
    signs_lists: bool,
    /// Why it is not used, if the certificate alone shows it.
    pub(super) unfit: Option<UnusableCa>,
    public_key_info: Vec<u8>,
    /// The distribution points of CRLs that cover this certificate.
    points: Vec<PointName>,
}

impl Issuer {
    /// Reads a certificate (DER); `None` if it is no CA certificate. Its signers are not known yet.
    pub(super) fn read(certificate: &[u8]) -> Result<Option<Self>, String> {
        let (rest, parsed) =
            X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("the certificate is followed by other bytes".into());
        }
        if !parsed.is_ca() {
            return Ok(None);
        }
        let public_key_info = parsed.public_key().raw;
        let usage = parsed.key_usage().ok().flatten();
        Ok(Some(Self {
            id: IssuerId::of(parsed.subject().as_raw(), public_key_info),
            serial: verify_client::serial(&parsed),
            signed_by_name: sha256(parsed.issuer().as_raw()),
            signed_by: Vec::new(),
            name: parsed.subject().to_string(),
            is_anchor: false,
            validity: Validity::of(&parsed),
            // A keyUsage that cannot be read makes the certificate `unfit` anyway.
            signs_lists: usage.is_none_or(|usage| usage.value.crl_sign()),
            unfit: UnusableCa::by_itself(&parsed),
            public_key_info: public_key_info.to_vec(),
            points: verify_client::points(&parsed),
        }))
    }

    /// Its name and its key. Several certificates may have the same: renewed, or signed by several.
    pub fn id(&self) -> &IssuerId {
        &self.id
    }

    /// The ids by which its own certificate is revoked: none for an anchor or if no authority here has signed
    /// it; usually one.
    pub fn certificates(&self) -> impl Iterator<Item = CertificateId> {
        let id = |issuer: &IssuerId| CertificateId { issuer: *issuer, serial: self.serial.clone() };
        self.signed_by.iter().map(id)
    }

    /// The distinguished name, for people; where another has the same, with the serial number of this
    /// certificate. Not cleaned: escape it before printing.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is an anchor.
    pub fn is_anchor(&self) -> bool {
        self.is_anchor
    }

    /// Whether it can lead to an anchor at `now`, by its own dates. Those of an anchor do not count.
    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.is_anchor || self.validity.contains(now)
    }

    /// Whether issuer and subject have the same name.
    pub(super) fn is_self_issued(&self) -> bool {
        self.signed_by_name == self.id.name
    }

    /// Whether it may sign revocation lists: keyUsage has cRLSign, or there is no keyUsage.
    pub fn signs_lists(&self) -> bool {
        self.signs_lists
    }

    pub(crate) fn points(&self) -> &[PointName] {
        &self.points
    }

    /// The algorithm identifier's content, and the key, of its public key.
    pub(crate) fn public_key(&self) -> Result<(&[u8], &[u8]), der::NotDer> {
        der::public_key(&self.public_key_info)
    }
}

/// An authority's index in the files, its certificate (DER), and the parsed form.
pub(super) type ParsedIssuer<'a> = (usize, &'a [u8], Issuer);

/// Determines the signers of each certificate, and makes equal names distinguishable in messages.
pub(super) fn settle(all: &mut [ParsedIssuer<'_>]) {
    let found: Vec<_> =
        all.iter().map(|one| (signers(one, all), has_a_twin(&one.2, all))).collect();
    for ((_, _, issuer), (signed_by, has_a_twin)) in all.iter_mut().zip(found) {
        let by_others = signed_by.iter().any(|signer| signer != issuer.id());
        let by_itself = signed_by.contains(issuer.id());
        // Also if it is signed by none of these, for example by an earlier key of the same CA that is not given:
        // the administrator trusts a key by giving it (RFC 5280, 6.1.1 d).
        issuer.is_anchor = issuer.is_self_issued() && (by_itself || !by_others);
        if !issuer.is_anchor {
            issuer.signed_by = signed_by;
        }
        if has_a_twin {
            let (name, serial) = (&issuer.name, hex(&issuer.serial));
            issuer.name = format!("{name} (CA certificate {serial})");
        }
    }
}

/// The authorities that signed this certificate; usually one at most.
fn signers((_, der, issuer): &ParsedIssuer<'_>, all: &[ParsedIssuer<'_>]) -> Vec<IssuerId> {
    let Ok(signature) = IssuerSignature::of(der) else { return Vec::new() };
    let mut signers = Vec::new();
    for (_, _, other) in all {
        let signs = || other.public_key().is_ok_and(|key| signature.verify(key).is_ok());
        if other.id.name == issuer.signed_by_name && !signers.contains(&other.id) && signs() {
            signers.push(other.id);
        }
    }
    signers
}

/// Whether a path can fork: an authority has several certificates, or a certificate has several signers.
pub(super) fn branch(issuers: &[Issuer]) -> bool {
    let mut known = BTreeSet::new();
    issuers.iter().any(|issuer| issuer.signed_by.len() > 1 || !known.insert(issuer.id()))
}

fn has_a_twin(issuer: &Issuer, all: &[ParsedIssuer<'_>]) -> bool {
    let is_twin = |id: &IssuerId| id.name == issuer.id.name && id.key != issuer.id.key;
    all.iter().any(|(_, _, other)| is_twin(&other.id))
}
