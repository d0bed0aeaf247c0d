//! Lists on the disk: those that are saved for the next start, and those that somebody has put into
//! `crlFile`. Of each issuer the newest counts, unless it is older than one that was in force before.

use std::io;
use std::sync::Arc;

use sknock_protocol::{CrlError, Moment, Revocation, RevocationList};
use tracing::{debug, warn};

use super::Refresh;
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
                warn!("saved lists: cannot read {}: {error}", path.display());
                return;
            }
        };
        for der in RevocationList::split(&bytes) {
            match self.kept(der) {
                Ok(news) => news.into_iter().for_each(|list| self.install(list)),
                // They were saved; somebody may have put newer ones into crlFile since.
                Err(why @ CrlError::BelowMark { .. }) => debug!("saved lists: {why}"),
                Err(why) => warn!("saved lists: one is not taken: {why}"),
            }
        }
    }

    /// Takes the lists that `crlFile` has, unless one that was saved is newer. A list may be past its
    /// end: then it counts for the grace.
    pub fn load(&self, bytes: &[u8], now: Moment) {
        for der in RevocationList::split(bytes) {
            match self.kept(der) {
                Ok(news) => news.into_iter().for_each(|list| self.install(list)),
                Err(why) => warn!("crlFile: a list is not taken: {why}"),
            }
        }
        if self.sources.is_empty() {
            self.warn_of_gaps();
        }
        self.warn_of_age(now);
    }

    /// Saves a list for the next start, beside those of other issuers.
    pub(super) fn keep(&self, list: &RevocationList, bytes: &[u8]) {
        let Some(path) = &self.saved else { return };
        let others = Successor { issuer: list.issuer(), anchors: self.verifier.anchors() };
        if let Err(error) = file::replace(path, bytes, &others) {
            let path = path.display();
            warn!(
                "stateDir: cannot write {path}: {error}; the next start must fetch the list anew"
            );
        }
    }

    /// A list that was in force before, or that somebody has put there: whatever the clock says. Nothing
    /// if there is a newer one in another place: that is no fault. The date decides which is the newer, as
    /// with marks: an authority may count anew.
    fn kept(&self, der: &[u8]) -> Result<Option<RevocationList>, CrlError> {
        let list = RevocationList::verify(der, self.verifier.anchors())?;
        let Revocation::Lists(lists) = &**self.current.load() else { return Ok(None) };
        match lists.list(list.issuer()).map(Arc::as_ref) {
            Some(current) if list.mark() < current.mark() => {
                let (issuer, older, newer) = (list.issuer_name(), list.mark(), current.mark());
                debug!(issuer, "of two lists the newer counts: not {older}, but {newer}");
                Ok(None)
            }
            current => self.news(list, current),
        }
    }
}
