//! Whether a CRL may come into force: it must be newer than the CRL of its issuer in force, and than all
//! earlier ones.

use std::sync::Arc;

use sknock_protocol::{CrlError, Revocation, RevocationList, Timestamp};

use super::Refresh;

/// Reasons why a CRL is rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum CrlRejected {
    #[error(transparent)]
    List(#[from] CrlError),
    #[error(
        "it expired {0} s ago. Check that the CA issues new CRLs and that its web server has \
             the newest one"
    )]
    Ended(u64),
}

/// A verified CRL, which may already be in force.
#[derive(Debug)]
pub(super) enum Offered {
    /// Its content differs from the CRL in force.
    News(RevocationList),
    /// Its content is that of the CRL in force.
    Known(RevocationList),
}

impl Refresh {
    /// Verifies a new CRL: its thisUpdate must not be in the future. An expired one is better than none and
    /// than one that has expired too, but does not replace a current one.
    pub(super) fn verify_fetched(
        &self,
        der: &[u8],
        now: Timestamp,
    ) -> Result<Offered, CrlRejected> {
        let list = RevocationList::verify(der, self.verifier.trust_store())?;
        list.has_begun(now)?;
        let Revocation::Lists(lists) = &**self.current.load() else {
            return Ok(Offered::Known(list));
        };
        let current = lists.list(list.issuer()).map(Arc::as_ref);
        if list.next_update() < now && current.is_some_and(|current| now <= current.next_update()) {
            return Err(CrlRejected::Ended(now.since(list.next_update()).as_secs()));
        }
        match current.map(|current| (list.may_replace(current), current.next_update())) {
            // The authority has changed its distribution point, or has several, of which the first has
            // expired. Certificates that the new CRL does not cover are refused, so no revocation is lost.
            Some((Err(CrlError::OtherScope { .. }), ended)) if ended < now => {}
            Some((replaces, _)) => replaces?,
            None => {}
        }
        Ok(self.compare(list, current)?)
    }

    /// Whether the content differs from that of the CRL in force; an error if it is older than any earlier
    /// one.
    pub(super) fn compare(
        &self,
        list: RevocationList,
        current: Option<&RevocationList>,
    ) -> Result<Offered, CrlError> {
        if let Some(newest) = self.marks.get(&list.issuer().digest()) {
            list.reaches(newest)?;
        }
        let is_known = current.is_some_and(|current| list.says_the_same_as(current));
        Ok(if is_known { Offered::Known(list) } else { Offered::News(list) })
    }
}
