//! Verified CRLs, and lookups of certificates in them.
//!
//! A CRL is verified once, when it is loaded; each knock costs a binary search. Fetching and storing CRLs is
//! the server's part.

mod entries;
mod error;
mod list;
mod mark;
mod parse;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub use error::CrlError;
pub use list::{CrlHeader, FUTURE_SLACK, RevocationList};
pub use mark::CrlMark;
pub use scope::Scope;

use crate::refusal::Refusal;
use crate::subject::{CertificateId, IssuerId};
use crate::timestamp::Timestamp;
use crate::trust::{Issuer, PathCertificate, TrustPath, TrustStore};

/// The revocation state.
#[derive(Clone, Debug)]
pub enum Revocation {
    /// The administrator configured no CRL: certificates only end at their notAfter.
    NotConfigured,
    /// CRLs are configured, though perhaps none has been obtained yet.
    Lists(RevocationLists),
}

impl Revocation {
    /// The end of the first of `paths` on which no certificate is revoked according to its issuer. If there
    /// is none: `RevocationUnknown` if a CRL would help on one of them, else `Revoked`.
    ///
    /// Every issuer needs a CRL that covers the certificate, and whose nextUpdate is not overdue by more than
    /// the grace period.
    pub(crate) fn check(&self, paths: &[TrustPath], now: Timestamp) -> Result<Timestamp, Refusal> {
        let mut refused = Refusal::Revoked;
        for TrustPath { certificates, not_after } in paths {
            match self.check_path(certificates, now) {
                Ok(()) => return Ok(*not_after),
                Err(Refusal::RevocationUnknown) => refused = Refusal::RevocationUnknown,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    fn check_path(&self, path: &[PathCertificate], now: Timestamp) -> Result<(), Refusal> {
        let Self::Lists(lists) = self else { return Ok(()) };
        path.iter().try_for_each(|certificate| lists.check(certificate, now))
    }

    /// Whether a CRL, of any age, contains this certificate: its issuer and its serial number.
    pub fn is_revoked(&self, certificate: &CertificateId) -> bool {
        match self {
            Self::NotConfigured => false,
            Self::Lists(lists) => lists.name(certificate),
        }
    }
}

/// One CRL for each issuer, shared between threads and replaced as a whole.
#[derive(Clone, Debug)]
pub struct RevocationLists {
    lists: HashMap<IssuerId, Arc<RevocationList>>,
    grace: Duration,
}

impl RevocationLists {
    /// No CRLs yet: all knocks are refused until there are. A CRL is valid for `grace` after its nextUpdate.
    pub fn new(grace: Duration) -> Self {
        Self { lists: HashMap::new(), grace }
    }

    /// A copy with `list` in place of its issuer's former CRL. The caller checks
    /// [`RevocationList::may_replace`].
    #[must_use]
    pub fn with(&self, list: RevocationList) -> Self {
        let mut lists = self.lists.clone();
        lists.insert(*list.issuer(), Arc::new(list));
        Self { lists, grace: self.grace }
    }

    /// The CRL of this issuer.
    pub fn list(&self, issuer: &IssuerId) -> Option<&Arc<RevocationList>> {
        self.lists.get(issuer)
    }

    /// All CRLs, unordered.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.lists.values()
    }

    /// How long a CRL is valid after its nextUpdate.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// The issuers whose certificates have no path to an anchor at `now`, because the CRLs contain every
    /// intermediate on their paths. An expired or not yet valid intermediate gives no path; but dates alone,
    /// without a CRL, put no issuer into this list.
    pub fn issuers_without_path(
        &self,
        trust_store: &TrustStore,
        now: Timestamp,
    ) -> BTreeSet<IssuerId> {
        let unnamed = |_: &Issuer, by: &CertificateId| !self.name(by);
        let valid = |issuer: &Issuer, _: &CertificateId| issuer.is_valid_at(now);
        let by_any = reached(trust_store, unnamed);
        let in_time = reached(trust_store, valid);
        let now_left = reached(trust_store, |issuer, by| valid(issuer, by) && unnamed(issuer, by));
        let is_lost =
            |id: &&IssuerId| !by_any.contains(id) || in_time.contains(id) && !now_left.contains(id);
        let all = trust_store.issuers().iter().map(Issuer::id);
        all.filter(is_lost).copied().collect()
    }

    fn name(&self, certificate: &CertificateId) -> bool {
        self.list(&certificate.issuer).is_some_and(|list| list.contains(&certificate.serial))
    }

    /// The issuers whose own certificate is not covered by the CRL of their issuer: certificates below them
    /// are refused, unless another authority has signed them too.
    pub fn uncovered<'a>(
        &'a self,
        trust_store: &'a TrustStore,
    ) -> impl Iterator<Item = &'a Issuer> {
        trust_store.issuers().iter().filter(|issuer| {
            issuer.certificates().any(|by| {
                let list = self.list(&by.issuer);
                list.is_some_and(|list| !list.scope().covers(true, issuer.points()))
            })
        })
    }

    fn check(&self, certificate: &PathCertificate, now: Timestamp) -> Result<(), Refusal> {
        let PathCertificate { id, is_authority, points } = certificate;
        let list = self.list(&id.issuer).ok_or(Refusal::RevocationUnknown)?;
        // First, whatever age and scope the CRL has: who is on it is revoked (PROTOCOL, Which certificates a
        // CRL covers).
        if list.contains(&id.serial) {
            return Err(Refusal::Revoked);
        }
        let current = now <= list.next_update().after(self.grace);
        let counts = current && list.scope().covers(*is_authority, points);
        if counts { Ok(()) } else { Err(Refusal::RevocationUnknown) }
    }
}

/// The issuers that lead to an anchor, themselves included, by certificates for which `stands` is true.
fn reached(
    trust_store: &TrustStore,
    stands: impl Fn(&Issuer, &CertificateId) -> bool,
) -> BTreeSet<&IssuerId> {
    let (roots, between): (Vec<_>, Vec<_>) =
        trust_store.issuers().iter().partition(|issuer| issuer.is_anchor());
    let mut reached: BTreeSet<&IssuerId> = roots.into_iter().map(Issuer::id).collect();
    loop {
        let before = reached.len();
        for issuer in &between {
            let leads = |by: CertificateId| reached.contains(&by.issuer) && stands(issuer, &by);
            if issuer.certificates().any(leads) {
                reached.insert(issuer.id());
            }
        }
        if reached.len() == before {
            return reached;
        }
    }
}

/// Parses two extensions for the fuzzer, which cannot sign certificates. Exists only under `cfg(fuzzing)`,
/// which `make fuzz` sets: no program contains it.
#[cfg(fuzzing)]
pub mod fuzzing {
    use super::Scope;
    use crate::trust::PointName;

    /// Whether a CRL with this issuingDistributionPoint (DER) is complete, and whether it covers an
    /// end-entity certificate with this cRLDistributionPoints; `None` if the CRL is refused.
    pub fn covers(list: &[u8], certificate: Option<&[u8]>) -> Option<(bool, bool)> {
        let scope = Scope::of(list).ok()?;
        let points = PointName::all(&[0x30, 0], certificate);
        assert!(points.len() <= 17, "unbounded");
        Some((scope.is_complete(), scope.covers(false, &points)))
    }
}
