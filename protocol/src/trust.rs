//! Whom to believe: the authorities, and the client certificates that lead to them.
//!
//! Paths, extended key usage and validity are checked here; revocation never is (`revocation.rs`),
//! so that no cached answer can outlive it.

mod authorities;
mod believed;
mod cache;
mod path;
#[cfg(test)]
mod tests;
mod usage;

use std::sync::Arc;

use pki_types::{CertificateDer, TrustAnchor};

pub use authorities::{Issuer, TrustError};
pub(crate) use believed::Believed;
pub(crate) use path::SIGNATURES;
pub(crate) use usage::Usage;

use crate::sha256::sha256;
use crate::{Moment, Refusal};
use cache::Cache;

/// The authorities, and the certificates found to lead to them so far.
///
/// Anchors are names with keys that the administrator trusts: their own dates do not count (as in
/// RFC 5280, 6.1, unlike openssl), so an authority ends when it is taken out of the configuration
/// or when the certificates below it end.
#[derive(Debug)]
pub struct Anchors {
    issuers: Vec<Issuer>,
    roots: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    cache: Cache<Believed>,
}

impl Anchors {
    /// Takes `authorities` (DER): the self-issued CA certificates become anchors, other CA
    /// certificates intermediates, and what is no CA certificate is left out.
    ///
    /// At most `cache` certificates that lead to an anchor are remembered, each with about 1 KiB.
    pub fn new(authorities: &[Vec<u8>], cache: usize) -> Result<Self, TrustError> {
        let mut found = Self {
            issuers: Vec::new(),
            roots: Vec::new(),
            intermediates: Vec::new(),
            cache: Cache::new(cache),
        };
        for (place, der) in authorities.iter().enumerate() {
            if !authorities[..place].contains(der) {
                found.add(place, der)?;
            }
        }
        if found.roots.is_empty() {
            return Err(TrustError::NoAnchor { certificates: authorities.len() });
        }
        Ok(found)
    }

    fn add(&mut self, place: usize, der: &[u8]) -> Result<(), TrustError> {
        let unreadable = |why| TrustError::Unreadable { number: place + 1, why };
        let Some(issuer) = Issuer::read(der).map_err(unreadable)? else { return Ok(()) };
        let der = CertificateDer::from(der);
        if issuer.is_anchor() {
            let anchor = webpki::anchor_from_trusted_cert(&der);
            self.roots.push(anchor.map_err(|why| unreadable(why.to_string()))?.to_owned());
        } else {
            webpki::EndEntityCert::try_from(&der).map_err(|why| unreadable(why.to_string()))?;
            self.intermediates.push(der.into_owned());
        }
        self.issuers.push(issuer);
        Ok(())
    }

    /// Every CA certificate: the anchors and the intermediates, in the order they came in.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Believes a client certificate (DER) if it leads to an anchor, is for this `usage` and is valid
    /// at `now`, as is every intermediate on the way.
    ///
    /// A certificate found good before is not looked at again while its path is valid, unless it
    /// was for a laxer usage. Otherwise it is, as another path may have begun or remained.
    pub(crate) fn believe(
        &self,
        certificate: &[u8],
        usage: Usage,
        now: Moment,
    ) -> Result<Arc<Believed>, Refusal> {
        let fingerprint = sha256(certificate);
        if let Some(believed) = self.cache.find(&fingerprint)
            && believed.is_for(usage)
            && believed.is_valid_at(now)
        {
            return Ok(believed);
        }
        let believed = path::verify(self, (certificate, fingerprint), usage, now)?;
        let believed = Arc::new(believed);
        self.cache.keep(fingerprint, Arc::clone(&believed));
        Ok(believed)
    }
}
