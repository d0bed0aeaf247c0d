//! Tells of lists that are missing, and of lists that grow old.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Revocation, RevocationList, Timestamp};
use tracing::{error, info, warn};

use super::Refresh;

/// Tells of a list that is not about all certificates of its issuer, and of another that it replaces.
pub(super) fn tell_of_scope(list: &RevocationList, former: Option<&Arc<RevocationList>>) {
    let (issuer, scope) = (list.issuer_name(), list.scope());
    if scope.is_complete() {
        return;
    }
    match former.map(|former| former.scope()).filter(|former| *former != scope) {
        None => info!(
            issuer,
            "the revocation list is about {scope}: knocks with other certificates of this issuer are refused"
        ),
        Some(former) => warn!(
            issuer,
            "the revocation list is about {scope}: knocks with other certificates of this issuer are refused, also with those that the former list was about: {former}"
        ),
    }
}

impl Refresh {
    /// For whom there is no list: a name is not enough.
    pub(super) fn warn_of_gaps(&self) {
        let Revocation::Lists(lists) = &**self.current.load() else { return };
        let mut told = BTreeSet::new();
        for issuer in self.verifier.trust_store().issuers() {
            if lists.list(issuer.id()).is_none() && told.insert(issuer.id()) {
                warn!(
                    issuer = issuer.name(),
                    "there is no revocation list of this issuer: all knocks with its certificates are refused"
                );
            }
        }
        for issuer in lists.uncovered(self.verifier.trust_store()) {
            warn!(
                issuer = issuer.name(),
                "no revocation list is about this CA certificate (issuingDistributionPoint of the list above it): all knocks with certificates below it are refused"
            );
        }
    }

    /// Of lists that have ended.
    pub(crate) fn warn_of_age(&self, now: Timestamp) {
        let Revocation::Lists(lists) = &**self.current.load() else { return };
        for list in lists.iter() {
            let end = list.next_update();
            let hours = |span: Duration| span.as_secs() / 3600;
            if now > end.after(lists.grace()) {
                error!(
                    issuer = list.issuer_name(),
                    "the revocation list is too old: until a new one comes, ALL KNOCKS ARE REFUSED whose certificate is by this issuer"
                );
            } else if now > end {
                let left = hours(end.after(lists.grace()).since(now));
                warn!(
                    issuer = list.issuer_name(),
                    "the revocation list is past its end by {} h; in {left} h all knocks with its issuer's certificates will be refused",
                    hours(now.since(end))
                );
            }
        }
    }
}
