//! Lists on the disk: those that are saved for the next start, and those that somebody has put into
//! `crlFile`. Of each issuer the newest counts, unless it is older than one that was in force before.

use std::io;
use std::sync::Arc;

use sknock_protocol::{CrlError, Revocation, RevocationList, Timestamp};
use tracing::{debug, warn};

use super::Refresh;
use super::acceptance::Offered;
use super::file::{self, Successor};

impl Refresh {
    /// Takes the lists that an earlier run has fetched and saved. They are ours: what is wrong with them
    /// keeps no start from its work.
    pub fn load_saved(&self) {
        let Some(path) = &self.saved else { return };
        let bytes = match file::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                warn!("cannot read the saved CRLs in {}: {error}", path.display());
                return;
            }
        };
        for der in RevocationList::split(&bytes) {
            match self.verify_saved(der) {
                Ok(news) => news.into_iter().for_each(|list| self.install(list)),
                // They were saved; somebody may have put newer ones into crlFile since.
                Err(why @ CrlError::BelowMark { .. }) => debug!("saved CRL not used: {why}"),
                Err(why) => warn!("saved CRL rejected: {why}"),
            }
        }
    }

    /// Takes the lists that `crlFile` has, unless one that was saved is newer. A list may be past its
    /// end: then it counts for the grace.
    pub fn load(&self, bytes: &[u8], now: Timestamp) {
        for der in RevocationList::split(bytes) {
            match self.verify_saved(der) {
                Ok(news) => news.into_iter().for_each(|list| self.install(list)),
                Err(why) => warn!("crlFile: CRL rejected: {why}"),
            }
        }
        if self.sources.is_empty() {
            self.warn_of_gaps();
        }
        self.warn_of_age(now);
    }

    /// Saves a list for the next start, beside those of other issuers. Whether nothing is left to save.
    pub(super) fn save(&mut self, list: &RevocationList, bytes: &[u8]) -> bool {
        let Some(path) = &self.saved else { return true };
        let others = Successor { issuer: list.issuer(), trust_store: self.verifier.trust_store() };
        let written = file::replace(path, bytes, &others);
        match &written {
            Ok(()) => self.unsaved.remove(list.issuer()),
            Err(error) => {
                let path = path.display();
                warn!(
                    "stateDir: cannot write {path}: {error}. Until this succeeds, a start must \
                     fetch the CRL"
                );
                self.unsaved.insert(*list.issuer())
            }
        };
        written.is_ok()
    }

    /// Whether a list that is in force is saved, or could be now.
    pub(super) fn is_saved(&mut self, bytes: &[u8]) -> bool {
        if self.unsaved.is_empty() {
            return true;
        }
        match RevocationList::verify(bytes, self.verifier.trust_store()) {
            Ok(list) if self.unsaved.contains(list.issuer()) => self.save(&list, bytes),
            _ => true,
        }
    }

    /// A list that was in force before, or that somebody has put there: whatever the clock says. Nothing
    /// if there is a newer one in another place: that is no fault. The date decides which is the newer, as
    /// with marks: an authority may count anew.
    fn verify_saved(&self, der: &[u8]) -> Result<Option<RevocationList>, CrlError> {
        let list = RevocationList::verify(der, self.verifier.trust_store())?;
        let Revocation::Lists(lists) = &**self.current.load() else { return Ok(None) };
        match lists.list(list.issuer()).map(Arc::as_ref) {
            Some(current) if list.mark() < current.mark() => {
                if list.scope() != current.scope() && !current.scope().is_complete() {
                    return Err(CrlError::OtherScope { covers: list.scope().to_string() });
                }
                let (issuer, older, newer) = (list.issuer_name(), list.mark(), current.mark());
                debug!(issuer, "using the newer of two CRLs: {newer} (not {older})");
                Ok(None)
            }
            current => Ok(match self.compare(list, current)? {
                Offered::News(list) => Some(list),
                Offered::Known(_) => None,
            }),
        }
    }
}
