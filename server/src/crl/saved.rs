//! CRLs on the disk: saved for the next start, or put into `crlFile` by the administrator. Of each issuer the
//! newest is used, unless it is older than its high-water mark.

use std::io;
use std::sync::Arc;

use sknock_protocol::{CrlError, Revocation, RevocationList, Timestamp};
use tracing::{debug, warn};

use super::Refresh;
use super::acceptance::Offered;
use super::file::{self, Successor};

impl Refresh {
    /// Loads the CRLs that an earlier run has saved. They are the server's own files, so errors in them do
    /// not prevent a start.
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
                // The administrator may have put newer ones into crlFile since.
                Err(why @ CrlError::BelowMark { .. }) => debug!("saved CRL not used: {why}"),
                Err(why) => warn!("saved CRL rejected: {why}"),
            }
        }
    }

    /// Loads the CRLs in `crlFile`, unless a saved one is newer. An expired CRL is used for the grace period.
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

    /// Saves a CRL for the next start, beside those of other issuers. Returns whether nothing is left to
    /// save.
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

    /// Whether a CRL in force is saved, or could be saved now.
    pub(super) fn is_saved(&mut self, bytes: &[u8]) -> bool {
        if self.unsaved.is_empty() {
            return true;
        }
        match RevocationList::verify(bytes, self.verifier.trust_store()) {
            Ok(list) if self.unsaved.contains(list.issuer()) => self.save(&list, bytes),
            _ => true,
        }
    }

    /// Verifies a CRL that was in force before or was put in place by the administrator, whatever the clock
    /// reads. `None` if a newer one is loaded, which is no error. The date decides, as with marks: an
    /// authority may restart its numbering.
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
