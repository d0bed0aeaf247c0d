//! Log lines about missing and expired CRLs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Revocation, RevocationList, Timestamp};
use tracing::{error, info, warn};

use super::Refresh;

/// Logs a CRL that does not cover all certificates of its issuer, and the different one that it replaces.
pub(super) fn warn_of_scope(list: &RevocationList, former: Option<&Arc<RevocationList>>) {
    let (issuer, scope) = (list.issuer_name(), list.scope());
    if scope.is_complete() {
        return;
    }
    match former.map(|former| former.scope()).filter(|former| *former != scope) {
        None => info!(
            issuer,
            "the CRL covers only {scope}: knocks with other certificates of this CA are refused"
        ),
        Some(former) => warn!(
            issuer,
            "the CRL covers only {scope}: knocks with other certificates of this CA are refused, \
             also with those that the previous CRL covered: {former}"
        ),
    }
}

impl Refresh {
    /// Logs the issuers without a CRL: their names alone may be ambiguous.
    pub(super) fn warn_of_gaps(&self) {
        let Revocation::Lists(lists) = &**self.current.load() else { return };
        let mut reported = BTreeSet::new();
        for issuer in self.verifier.trust_store().issuers() {
            if lists.list(issuer.id()).is_none() && reported.insert(issuer.id()) {
                warn!(
                    issuer = issuer.name(),
                    "no CRL of this CA is available: all knocks with its certificates are refused"
                );
            }
        }
        for issuer in lists.uncovered(self.verifier.trust_store()) {
            warn!(
                issuer = issuer.name(),
                "no CRL covers this CA certificate (issuingDistributionPoint of the CRL of the \
                 CA above): all knocks with certificates below it are refused"
            );
        }
    }

    /// Logs once that a CRL contains the server's own certificate. Clients check no CRL, so knocks still
    /// work.
    pub(super) fn warn_of_own_certificate(&self, list: &RevocationList) {
        if self.verifier.key().is_on(list) && !self.logged_own_revocation.replace(true) {
            warn!(
                issuer = list.issuer_name(),
                "the server's own certificate is revoked (serverPFXFile). Clients do not check CRLs and \
                 continue to use it. Replace the server key, and give clients the new certificate \
                 (OPERATIONS, \"Another key for the server\")"
            );
        }
    }

    /// Logs expired CRLs.
    pub(crate) fn warn_of_age(&self, now: Timestamp) {
        let Revocation::Lists(lists) = &**self.current.load() else { return };
        for list in lists.iter() {
            let end = list.next_update();
            let hours = |span: Duration| span.as_secs() / 3600;
            if now > end.after(lists.grace()) {
                error!(
                    issuer = list.issuer_name(),
                    "the CRL has expired and its grace period is over: until a new one is \
                     published, ALL KNOCKS ARE REFUSED that have a certificate of this CA"
                );
            } else if now > end {
                let left = hours(end.after(lists.grace()).since(now));
                warn!(
                    issuer = list.issuer_name(),
                    "the CRL expired {} h ago: in {left} h all knocks with certificates of this \
                     CA will be refused. Publish a new CRL",
                    hours(now.since(end))
                );
            }
        }
    }
}
