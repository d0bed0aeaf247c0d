//! The trusted authorities, and the client certificates that lead to them.
//!
//! Paths, extended key usage and validity are checked here, revocation never (`crl.rs`): a cached result must
//! not outlive a revocation.

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
pub(crate) use verify_client::{Usage, VerifiedCertificate, is_for_clients};

use crate::crypto::sha256;
use crate::refusal::Refusal;
use crate::subject::IssuerId;
use crate::timestamp::{Timestamp, Validity};
use cache::Cache;

/// The authorities, and a cache of verified certificates.
///
/// Anchors are names with keys that the administrator trusts: their own dates are ignored (as in RFC 5280,
/// 6.1, unlike openssl). So an authority ends when it is removed from the configuration or when the
/// certificates below it end.
#[derive(Debug)]
pub struct TrustStore {
    issuers: Vec<Issuer>,
    unfit: Vec<UnfitAuthority>,
    roots: Vec<TrustAnchor<'static>>,
    /// The id of each root, in the same order.
    root_ids: Vec<IssuerId>,
    intermediates: Vec<CertificateDer<'static>>,
    /// Whether a certificate can have several paths.
    branches: bool,
    /// The seconds in which an intermediate becomes valid or expires, ascending.
    changes: Vec<u64>,
    cache: Cache<VerifiedCertificate>,
}

impl TrustStore {
    /// Takes `authorities` (DER): self-signed CA certificates become anchors, other CA certificates
    /// intermediates; other certificates are ignored. A certificate whose issuer has its own name is an
    /// intermediate if another of the authorities has signed it: so the old key of an authority certifies the
    /// new one, or the reverse.
    ///
    /// A CA certificate that must not, or cannot, be part of a path is not used: see [`Self::unfit`]. It is
    /// an error if no anchor is left, or if an item is not a certificate.
    ///
    /// At most `cache` verified certificates are remembered, each with about 1 KiB.
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
            // Only to learn now what the library refuses: in a search, it would give no path and no reason.
            webpki::EndEntityCert::try_from(&der).map_err(refused)?;
            self.intermediates.push(der.into_owned());
        }
        self.issuers.push(issuer);
        Ok(())
    }

    /// A signature by an unused authority is no path. It still decides that the signed certificate is not an
    /// anchor: a certificate must not become an anchor because its issuer must not sign.
    fn forget_unfit_signers(&mut self) {
        let used: BTreeSet<IssuerId> = self.issuers.iter().map(|issuer| *issuer.id()).collect();
        for issuer in &mut self.issuers {
            issuer.signed_by.retain(|signer| used.contains(signer));
        }
    }

    /// The interval between two `changes` that contains `now`: within it, the same intermediates are valid.
    fn epoch(&self, now: Timestamp) -> usize {
        self.changes.partition_point(|change| *change <= now.as_secs())
    }

    /// The id of this anchor.
    fn id_of(&self, anchor: &TrustAnchor<'_>) -> Option<IssuerId> {
        // Equal anchors have the same name and key, and so the same id.
        let place = self.roots.iter().position(|root| root == anchor)?;
        self.root_ids.get(place).copied()
    }

    /// CA certificates that are not used, in their order. Of several equal ones, the first.
    pub fn unfit(&self) -> &[UnfitAuthority] {
        &self.unfit
    }

    /// Every CA certificate that is used: anchors and intermediates, in their order.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Verifies that a client certificate (DER) leads to an anchor, is for this `usage` and is valid at
    /// `now`, as is every intermediate on the path. Returns all such paths, up to 16.
    ///
    /// A certificate in the cache is not verified again while the same intermediates are valid, unless the
    /// cached usage was laxer. Otherwise it is, because another path may have become valid.
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

    /// Like `verify_client`, for a certificate that is not valid at `now`, or an authority of which is not:
    /// at its own end if that has passed, else at its own beginning. The result is not cached.
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

    /// Whether paths that were verified for `found` are all the paths for `usage`.
    fn are_paths_for(&self, usage: Usage, found: Usage) -> bool {
        if self.branches { usage == found } else { usage.is_met_by(found) }
    }
}

fn changes(issuers: &[Issuer]) -> Vec<u64> {
    let intermediates = issuers.iter().filter(|issuer| !issuer.is_anchor());
    let both = |issuer: &Issuer| {
        let Validity { begins, ends } = issuer.validity;
        // notAfter itself is still valid (RFC 5280, 4.1.2.5).
        [begins.as_secs(), ends.as_secs().saturating_add(1)]
    };
    let mut changes: Vec<_> = intermediates.flat_map(both).collect();
    changes.sort_unstable();
    changes.dedup();
    changes
}
