//! Whom to believe: the authorities, and the client certificates that lead to them.
//!
//! Paths, extended key usage and validity are checked here; revocation never is (`crl.rs`),
//! so that no cached answer can outlive it.

mod authorities;
mod cache;
mod path;
mod points;
mod signature;
#[cfg(test)]
mod tests;
mod unusable;
mod verify_client;

use std::collections::BTreeSet;
use std::sync::Arc;

use pki_types::{CertificateDer, TrustAnchor};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub use authorities::{Issuer, TrustError};
pub(crate) use points::{
    GeneralNames, MAX_POINTS, PathCertificate, PointName, TrustPath, full_name,
};
pub(crate) use signature::{IssuerSignature, NotSigned};
pub use unusable::{UnfitAuthority, UnusableCa};
pub(crate) use verify_client::{Usage, VerifiedCertificate};

use crate::crypto::sha256;
use crate::refusal::Refusal;
use crate::subject::IssuerId;
use crate::timestamp::{Timestamp, Validity};
use cache::Cache;

/// The authorities, and the certificates found to lead to them so far.
///
/// Anchors are names with keys that the administrator trusts: their own dates do not count (as in
/// RFC 5280, 6.1, unlike openssl), so an authority ends when it is taken out of the configuration
/// or when the certificates below it end.
#[derive(Debug)]
pub struct TrustStore {
    issuers: Vec<Issuer>,
    unfit: Vec<UnfitAuthority>,
    roots: Vec<TrustAnchor<'static>>,
    /// Of each root, in the same order.
    root_ids: Vec<IssuerId>,
    intermediates: Vec<CertificateDer<'static>>,
    /// Whether a certificate can have several paths.
    branches: bool,
    /// The seconds in which an intermediate begins or has ended, ascending.
    changes: Vec<u64>,
    cache: Cache<VerifiedCertificate>,
}

impl TrustStore {
    /// Takes `authorities` (DER): the self-signed CA certificates become anchors, other CA
    /// certificates intermediates, and what is no CA certificate is left out. One whose issuer has its
    /// own name is an intermediate if another of the authorities has signed it: so the old key of an
    /// authority vouches for the new one, or the other way round.
    ///
    /// A CA certificate that must not, or cannot, lead anybody to an anchor is not used: see
    /// [`Self::unfit`]. It is an error if no anchor is left, or if one is no certificate at all.
    ///
    /// At most `cache` certificates that lead to an anchor are remembered, each with about 1 KiB.
    pub fn new(authorities: &[Vec<u8>], cache: usize) -> Result<Self, TrustError> {
        let mut found = Self {
            issuers: Vec::new(),
            unfit: Vec::new(),
            roots: Vec::new(),
            root_ids: Vec::new(),
            intermediates: Vec::new(),
            branches: false,
            changes: Vec::new(),
            cache: Cache::new(cache),
        };
        let mut read = Vec::new();
        for (place, der) in authorities.iter().enumerate() {
            let unreadable = |why| TrustError::Unreadable { number: place + 1, why };
            if authorities[..place].contains(der) {
                continue;
            }
            if let Some(issuer) = Issuer::read(der).map_err(unreadable)? {
                read.push((place, der.as_slice(), issuer));
            }
        }
        authorities::settle(&mut read);
        for (place, der, mut issuer) in read {
            let added = issuer.unfit.take().map_or_else(|| found.add(der, issuer), Err);
            if let Err(why) = added {
                found.unfit.push(UnfitAuthority { number: place + 1, why });
            }
        }
        if found.roots.is_empty() {
            let (certificates, unfit) = (authorities.len(), found.unfit);
            return Err(TrustError::NoAnchor { certificates, unfit });
        }
        found.forget_unfit_signers();
        found.branches = authorities::branch(&found.issuers);
        found.changes = changes(&found.issuers);
        Ok(found)
    }

    fn add(&mut self, der: &[u8], issuer: Issuer) -> Result<(), UnusableCa> {
        let refused = |error| UnusableCa::refused(&error, der);
        let der = CertificateDer::from(der);
        if issuer.is_anchor() {
            let root = webpki::anchor_from_trusted_cert(&der).map_err(refused)?;
            self.roots.push(root.to_owned());
            self.root_ids.push(*issuer.id());
        } else {
            webpki::EndEntityCert::try_from(&der).map_err(refused)?;
            self.intermediates.push(der.into_owned());
        }
        self.issuers.push(issuer);
        Ok(())
    }

    /// A signature by one that is not used is no path. It has counted for who is an anchor, though: what
    /// has another's signature is not to become one because that other must not sign.
    fn forget_unfit_signers(&mut self) {
        let used: BTreeSet<IssuerId> = self.issuers.iter().map(|issuer| *issuer.id()).collect();
        for issuer in &mut self.issuers {
            issuer.signed_by.retain(|signer| used.contains(signer));
        }
    }

    /// Between which of `changes` this is: as long as it is the same, the same intermediates are valid.
    fn epoch(&self, now: Timestamp) -> usize {
        self.changes.partition_point(|change| *change <= now.as_secs())
    }

    /// Which authority this anchor is.
    fn id_of(&self, anchor: &TrustAnchor<'_>) -> Option<IssuerId> {
        let place = self.roots.iter().position(|root| root == anchor)?;
        self.root_ids.get(place).copied()
    }

    /// CA certificates that were given and are not used, in their order. Of several that are the same, the
    /// first.
    pub fn unfit(&self) -> &[UnfitAuthority] {
        &self.unfit
    }

    /// Every CA certificate that is used: the anchors and the intermediates, in the order they came in.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Believes a client certificate (DER) if it leads to an anchor, is for this `usage` and is valid
    /// at `now`, as is every intermediate on the way. Gives every such path, up to 16.
    ///
    /// A certificate found good before is not looked at again while the same intermediates are valid, unless
    /// it was for a laxer usage. Otherwise it is, as another path may have begun or remained.
    pub(crate) fn verify_client(
        &self,
        certificate: &[u8],
        usage: Usage,
        now: Timestamp,
    ) -> Result<Arc<VerifiedCertificate>, Refusal> {
        let fingerprint = sha256(certificate);
        if let Some(verified) = self.cache.find(&fingerprint)
            && self.are_paths_for(usage, verified.usage())
            && verified.is_valid_at(now, self.epoch(now))
        {
            return Ok(verified);
        }
        let verified = path::verify(self, (certificate, fingerprint), usage, now)?;
        let verified = Arc::new(verified);
        self.cache.keep(fingerprint, Arc::clone(&verified));
        Ok(verified)
    }

    /// The same for a certificate that is not valid at `now`, or that one above it is not: at its own end if that
    /// is past, else at its own beginning. Nothing is remembered.
    pub(crate) fn verify_while_valid(
        &self,
        certificate: &[u8],
        usage: Usage,
        now: Timestamp,
    ) -> Result<VerifiedCertificate, Refusal> {
        let read = X509Certificate::from_der(certificate);
        let validity = read.map(|(_, certificate)| Validity::of(&certificate));
        let Validity { begins, ends } = validity.map_err(|_| Refusal::BadCertificate)?;
        let then = if ends < now { ends } else { begins };
        path::verify(self, (certificate, sha256(certificate)), usage, then)
    }

    /// Whether the paths of a certificate that were found to be for `found` are all that are for `usage`.
    fn are_paths_for(&self, usage: Usage, found: Usage) -> bool {
        if self.branches { usage == found } else { usage.is_met_by(found) }
    }
}

fn changes(issuers: &[Issuer]) -> Vec<u64> {
    let intermediates = issuers.iter().filter(|issuer| !issuer.is_anchor());
    let both = |issuer: &Issuer| {
        let Validity { begins, ends } = issuer.validity;
        [begins.as_secs(), ends.as_secs().saturating_add(1)]
    };
    let mut changes: Vec<_> = intermediates.flat_map(both).collect();
    changes.sort_unstable();
    changes.dedup();
    changes
}
