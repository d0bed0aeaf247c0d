//! Keeps revocation lists fresh: fetched from the URLs, verified, never older than before, kept in
//! `crlFile`, swapped in under the running threads; grants of revoked certificates are closed.
//!
//! Whatever goes wrong, the last good lists stay, and a log line says what happened.

mod fetch;
mod file;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sknock_protocol::{
    CertificateId, CrlError, Moment, Revocation, RevocationList, RevocationLists, Verifier,
};
use tracing::{error, info, warn};

pub use self::fetch::{FetchError, LARGEST};
use self::fetch::{Fetched, Fetcher};
use crate::audit::hex;
use crate::clock;
use crate::config::RevocationSettings;
use crate::gate::Gate;

/// Holds the lists, and knows where newer ones are.
#[derive(Debug)]
pub struct Refresh {
    verifier: Arc<Verifier>,
    current: Arc<ArcSwap<Revocation>>,
    sources: Vec<Fetcher>,
    file: Option<PathBuf>,
    interval: Duration,
}

/// Why a list was not taken.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    List(#[from] CrlError),
    #[error("it ended at {0} (seconds since 1970); the CA, or its web server, does not renew it")]
    Ended(Moment),
}

impl Refresh {
    /// Has no list yet. `web_authorities` (PEM) are the only ones an https server may have.
    pub fn new(
        settings: &RevocationSettings,
        verifier: Arc<Verifier>,
        web_authorities: Option<&[u8]>,
    ) -> Result<Self, FetchError> {
        let current = if settings.file.is_none() && settings.urls.is_empty() {
            Revocation::NotConfigured
        } else {
            Revocation::Lists(RevocationLists::new(settings.grace))
        };
        let client = fetch::client(web_authorities)?;
        Ok(Self {
            verifier,
            current: Arc::new(ArcSwap::from_pointee(current)),
            sources: settings.urls.iter().map(|url| Fetcher::new(&client, url)).collect(),
            file: settings.file.clone(),
            interval: settings.interval,
        })
    }

    /// What the pipeline consults; it sees every change at once.
    pub fn current(&self) -> Arc<ArcSwap<Revocation>> {
        Arc::clone(&self.current)
    }

    /// Takes the lists that `crlFile` has. A list may be past its end: then it counts for the grace.
    pub fn load(&self, bytes: &[u8], now: Moment) {
        for der in file::split(bytes) {
            if let Err(why) = self.take(der) {
                warn!("crlFile: a list is not taken: {why}");
            }
        }
        self.warn_of_age(now);
    }

    /// Whether anybody could be let in: no list is configured, or one still counts.
    pub fn is_usable(&self, now: Moment) -> bool {
        match &**self.current.load() {
            Revocation::NotConfigured => true,
            Revocation::Lists(lists) => {
                lists.iter().any(|list| now <= list.next_update().after(lists.grace()))
            }
        }
    }

    /// Fetches once, for a start without lists.
    pub fn fetch_now(&mut self) -> io::Result<()> {
        runtime()?.block_on(self.round());
        Ok(())
    }

    /// Fetches at once and then every interval, until `stop` becomes readable. Closes, through
    /// `gate`, what revoked certificates have open. An error means that the gate is gone.
    pub fn run(mut self, mut gate: Gate, stop: UnixStream) -> io::Result<()> {
        let mut closed = RevocationLists::new(Duration::ZERO);
        runtime()?.block_on(async {
            stop.set_nonblocking(true)?;
            let stop = tokio::net::UnixStream::from_std(stop)?;
            loop {
                self.close_revoked(&mut closed, &mut gate)?;
                tokio::select! {
                    _ = stop.readable() => return Ok(()),
                    () = self.round() => {}
                }
                self.close_revoked(&mut closed, &mut gate)?;
                tokio::select! {
                    _ = stop.readable() => return Ok(()),
                    () = tokio::time::sleep(fetch::jittered(self.interval)) => {}
                }
            }
        })
    }

    /// Asks every source once.
    async fn round(&mut self) {
        let mut sources = std::mem::take(&mut self.sources);
        for source in &mut sources {
            match source.fetch().await {
                Ok(Fetched::Unchanged) => {}
                Ok(Fetched::List(bytes)) => self.offer(source, &bytes, clock::now()),
                Err(error) => {
                    warn!(url = source.url(), "revocation list not fetched: {error}; {STAYS}")
                }
            }
        }
        self.sources = sources;
        self.warn_of_age(clock::now());
    }

    /// Takes a list from the web, if it is good.
    fn offer(&self, source: &mut Fetcher, bytes: &[u8], now: Moment) {
        let url = source.url();
        match self.take_current(bytes, now) {
            Ok(None) => source.accept(),
            Ok(Some(list)) => {
                info!(
                    url,
                    issuer = ?list.issuer_name(),
                    number = list.number().map(hex),
                    revoked = list.len(),
                    "new revocation list in force"
                );
                self.keep(&list, bytes);
                source.accept();
            }
            Err(why) => warn!(url, "revocation list not taken: {why}; {STAYS}"),
        }
    }

    /// As [`Self::take`], for a list that is new to us: it must have begun, and not have ended.
    fn take_current(
        &self,
        der: &[u8],
        now: Moment,
    ) -> Result<Option<Arc<RevocationList>>, NotTaken> {
        let list = RevocationList::verify(der, self.verifier.anchors())?;
        list.has_begun(now)?;
        if now > list.next_update() {
            return Err(NotTaken::Ended(list.next_update()));
        }
        Ok(self.install(list)?)
    }

    fn take(&self, der: &[u8]) -> Result<Option<Arc<RevocationList>>, CrlError> {
        self.install(RevocationList::verify(der, self.verifier.anchors())?)
    }

    /// Puts `list` in force unless it is older than its predecessor; returns it if it is news.
    fn install(&self, list: RevocationList) -> Result<Option<Arc<RevocationList>>, CrlError> {
        let Revocation::Lists(lists) = &**self.current.load() else { return Ok(None) };
        let issuer = *list.issuer();
        if let Some(current) = lists.list(&issuer) {
            list.may_replace(current)?;
            if list.number() == current.number() && list.this_update() == current.this_update() {
                return Ok(None);
            }
        }
        let lists = lists.with(list);
        let installed = lists.list(&issuer).cloned();
        self.current.store(Arc::new(Revocation::Lists(lists)));
        Ok(installed)
    }

    /// Keeps a list for the next start, beside those of other issuers.
    fn keep(&self, list: &RevocationList, bytes: &[u8]) {
        let Some(path) = &self.file else { return };
        let of_another = |der: &[u8]| {
            RevocationList::verify(der, self.verifier.anchors())
                .is_ok_and(|other| other.issuer() != list.issuer())
        };
        if let Err(error) = file::replace(path, bytes, of_another) {
            let path = path.display();
            warn!("crlFile: cannot write {path}: {error}; the next start must fetch the list anew");
        }
    }

    fn warn_of_age(&self, now: Moment) {
        let Revocation::Lists(lists) = &**self.current.load() else { return };
        for list in lists.iter() {
            let end = list.next_update();
            let hours = |span: Duration| span.as_secs() / 3600;
            if now > end.after(lists.grace()) {
                error!(issuer = ?list.issuer_name(), "the revocation list is too old: ALL KNOCKS ARE REFUSED until a new one comes");
            } else if now > end {
                let left = hours(end.after(lists.grace()).since(now));
                warn!(issuer = ?list.issuer_name(), "the revocation list is past its end by {} h; in {left} h all knocks will be refused", hours(now.since(end)));
            }
        }
    }

    /// Has the gate close what the certificates have open that are revoked and were not before.
    fn close_revoked(&self, closed: &mut RevocationLists, gate: &mut Gate) -> io::Result<()> {
        let Revocation::Lists(lists) = &**self.current.load() else { return Ok(()) };
        for list in lists.iter() {
            let before = closed.list(list.issuer());
            if before.is_some_and(|before| Arc::ptr_eq(before, list)) {
                continue;
            }
            for serial in
                list.serials().filter(|serial| !before.is_some_and(|list| list.contains(serial)))
            {
                gate.close(&CertificateId { issuer: *list.issuer(), serial: serial.to_vec() })?;
            }
        }
        *closed = lists.clone();
        Ok(())
    }
}

const STAYS: &str = "the last good one stays in force";

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
