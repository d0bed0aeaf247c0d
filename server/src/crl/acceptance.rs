//! Whether a list may come into force: newer than the one of its issuer that is, and than all that ever were.

use std::sync::Arc;

use sknock_protocol::{CrlError, Revocation, RevocationList, Timestamp};

use super::Refresh;

/// Why a list was not taken.
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

/// A list that is good, and may be in force already.
#[derive(Debug)]
pub(super) enum Offered {
    /// It says something else than the one in force.
    News(RevocationList),
    /// It says the same.
    Known(RevocationList),
}

impl Refresh {
    /// A list that is new to us: it must have begun. One that has ended is better than none and than one
    /// that has ended too, but replaces none that still counts.
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
            // The authority has moved its list, or there are several, of which the first has ended. Whoever
            // the new one is not about is refused, so that no revocation is lost.
            Some((Err(CrlError::OtherScope { .. }), ended)) if ended < now => {}
            Some((replaces, _)) => replaces?,
            None => {}
        }
        Ok(self.compare(list, current)?)
    }

    /// Whether the list says anything else than the one in force; an error if it is older than one that ever
    /// was.
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
