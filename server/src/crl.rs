//! Keeps revocation lists fresh: fetched from the URLs, verified, never older than before, saved in
//! `stateDir`, swapped in under the running threads; grants of revoked certificates are closed.
//!
//! Whatever goes wrong, the last good lists stay, and a log line says what happened.

mod acceptance;
mod attempt;
mod close_revoked;
mod fetch;
mod file;
pub mod mark_record;
mod redirect;
mod saved;
mod warnings;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{IssuerId, Revocation, RevocationList, RevocationLists, Timestamp, Verifier};
use sknock_types::hex;
use tracing::{info, warn};

use self::acceptance::Offered;
pub use self::attempt::{Attempt, Sighted};
use self::close_revoked::ClosedSoFar;
pub(crate) use self::fetch::ports;
use self::fetch::{Clients, Fetcher};
pub use self::fetch::{FetchError, MAX_LIST, Timeouts};
use self::fetch::{FetchResult, FetchSet};
pub(crate) use self::file::MOST as MAX_SAVED;
use self::mark_record::CrlMarks;
pub use self::redirect::RedirectRefused;
use crate::config::RevocationSettings;
use crate::knock::gate_client::GateClient;
use crate::knock::in_force::InForce;
use crate::sys::clock;

/// Holds the lists, and knows where newer ones are.
#[derive(Debug)]
pub struct Refresh {
    verifier: Arc<Verifier>,
    current: Arc<InForce>,
    sources: Vec<Fetcher>,
    saved: Option<PathBuf>,
    /// Whose list in force is not saved: its file could not be written.
    unsaved: BTreeSet<IssuerId>,
    interval: Duration,
    /// How new each issuer's newest list was, as far as the privileged process knows.
    marks: CrlMarks,
    /// Whether the log says already that our own certificate is revoked.
    logged_own_revocation: Cell<bool>,
}

impl Refresh {
    /// Has no list yet. `web_authorities` (PEM) are the only ones an https server may have.
    pub fn new(
        settings: &RevocationSettings,
        verifier: Arc<Verifier>,
        web_authorities: Option<&[u8]>,
        timeouts: Timeouts,
    ) -> Result<Self, FetchError> {
        let current = if settings.file.is_none() && settings.urls.is_empty() {
            Revocation::NotConfigured
        } else {
            Revocation::Lists(RevocationLists::new(settings.grace))
        };
        let clients = Arc::new(Clients::new(web_authorities, timeouts, &settings.urls)?);
        Ok(Self {
            verifier,
            current: Arc::new(InForce::new(current)),
            sources: settings.urls.iter().map(|url| Fetcher::new(&clients, url)).collect(),
            saved: settings.saved.clone(),
            unsaved: BTreeSet::new(),
            interval: settings.interval,
            marks: CrlMarks::new(),
            logged_own_revocation: Cell::new(false),
        })
    }

    /// The same, which takes no list that is older than these say.
    #[must_use]
    pub fn above(self, marks: CrlMarks) -> Self {
        Self { marks, ..self }
    }

    /// Reports, through `gate`, how new the lists in force are. Not of one from the future: no report may
    /// keep lists out that are made before that. An error means that the gate is gone.
    pub fn report(&mut self, gate: &mut GateClient, now: Timestamp) -> io::Result<()> {
        if let Revocation::Lists(lists) = &**self.current.load() {
            lists.iter().try_for_each(|list| self.report_one(list, gate, now))?;
        }
        Ok(())
    }

    fn report_one(
        &mut self,
        list: &RevocationList,
        gate: &mut GateClient,
        now: Timestamp,
    ) -> io::Result<()> {
        let (digest, mark) = (list.issuer().digest(), list.mark());
        if list.has_begun(now).is_ok() && self.marks.get(&digest).is_none_or(|known| *known < mark)
        {
            gate.report(&mark_record::report(&digest, &mark))?;
            self.marks.insert(digest, mark);
        }
        Ok(())
    }

    /// What the pipeline consults; it sees every change at once.
    pub fn current(&self) -> Arc<InForce> {
        Arc::clone(&self.current)
    }

    /// Whether anybody could be let in: no list is configured, or one still counts.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        match &**self.current.load() {
            Revocation::NotConfigured => true,
            Revocation::Lists(lists) => {
                lists.iter().any(|list| now <= list.next_update().after(lists.grace()))
            }
        }
    }

    /// Fetches once, for a start without lists. Who takes their time is not waited for long once
    /// there is a list that counts.
    pub fn fetch_now(&mut self) -> io::Result<()> {
        wait_for(async {
            let mut fetches = FetchSet::begin(&self.sources);
            loop {
                let timeouts =
                    if self.is_usable(clock::now()) { LATE_FETCH_TIMEOUT } else { Duration::MAX };
                match tokio::time::timeout(timeouts, fetches.next()).await {
                    // What comes into force before anybody knocks is reported before that, too.
                    Ok(Some(turn)) => self.on_fetch(turn, None)?,
                    Ok(None) | Err(_) => break,
                }
            }
            self.warn_of_gaps();
            self.warn_of_age(clock::now());
            Ok(())
        })
    }

    /// Fetches at once and then every interval, until `stop` becomes readable. Closes, through
    /// `gate`, what certificates have open that are not trusted any more. An error means that the gate is gone.
    pub fn run(mut self, mut gate: GateClient, stop: UnixStream) -> io::Result<()> {
        wait_for(async {
            stop.set_nonblocking(true)?;
            let stop = tokio::net::UnixStream::from_std(stop)?;
            tokio::select! {
                _ = stop.readable() => Ok(()),
                lost = self.run_loop(&mut gate) => lost,
            }
        })
    }

    /// Never ends but by the loss of the gate.
    async fn run_loop(&mut self, gate: &mut GateClient) -> io::Result<()> {
        let mut closed = ClosedSoFar::nothing();
        let mut done = self.close_untrusted(&mut closed, gate, clock::now()).await?;
        let mut fetches = FetchSet::begin(&self.sources);
        let mut age = tokio::time::interval(self.interval);
        // The first tick is due at once (tokio), and the start has logged the age.
        age.tick().await;
        loop {
            tokio::select! {
                Some(turn) = fetches.next() => {
                    let place = turn.place;
                    self.on_fetch(turn, Some(gate))?;
                    let source = self.sources[place].clone();
                    let pause = source.pause(self.interval);
                    fetches.add(place, source, pause);
                }
                _ = age.tick() => {
                    self.warn_of_age(clock::now());
                    // One from the future may have begun.
                    self.report(gate, clock::now())?;
                }
                () = tokio::time::sleep(close_revoked::RETRY), if !done => {}
            }
            done = self.close_untrusted(&mut closed, gate, clock::now()).await?;
        }
    }

    /// Takes what a source has given, and what is known of that source now.
    fn on_fetch(&mut self, turn: FetchResult, gate: Option<&mut GateClient>) -> io::Result<()> {
        let FetchResult { place, mut source, fetched } = turn;
        match fetched {
            Ok(bytes) => self.install_if_valid(&mut source, &bytes, clock::now(), gate)?,
            Err(error) => {
                let left = self.status();
                warn!(url = source.url(), "CRL fetch failed: {error}. {left}");
            }
        }
        self.sources[place] = source;
        Ok(())
    }

    /// Takes a list from the web, if it is good.
    fn install_if_valid(
        &mut self,
        source: &mut Fetcher,
        bytes: &[u8],
        now: Timestamp,
        gate: Option<&mut GateClient>,
    ) -> io::Result<()> {
        let url = source.url();
        match self.verify_fetched(bytes, now) {
            Ok(Offered::Known(list)) if self.is_saved(bytes) => {
                log_if_recovered(source, list.issuer_name());
                source.accept();
            }
            // It is fetched, and saved, again soon.
            Ok(Offered::Known(_)) => {}
            Ok(Offered::News(list)) => {
                // First onto the disk: no crash can undo what has once been in force.
                let is_saved = self.save(&list, bytes);
                // Before it is in force: an older CRL must be rejected also after `kill -9` right after that.
                if let Some(gate) = gate {
                    self.report_one(&list, gate, now)?;
                }
                let (number, revoked) = (list.number().map(hex), list.len());
                let issuer = list.issuer_name().to_owned();
                self.install(list);
                info!(url, issuer, number, revoked, "new CRL in force");
                if is_saved {
                    source.accept();
                }
            }
            Err(why) => warn!(url, "CRL rejected: {why}. {}", self.status()),
        }
        Ok(())
    }

    /// Puts a list in force in place of its issuer's former one. After that nothing opens by the former.
    fn install(&self, list: RevocationList) {
        let with = match &**self.current.load() {
            Revocation::Lists(lists) => {
                warnings::warn_of_scope(&list, lists.list(list.issuer()));
                self.warn_of_own_certificate(&list);
                lists.with(list)
            }
            Revocation::NotConfigured => return,
        };
        self.current.replace(Revocation::Lists(with));
    }

    /// What is left when nothing new comes.
    fn status(&self) -> &'static str {
        match &**self.current.load() {
            Revocation::Lists(lists) if lists.iter().next().is_none() => {
                "No other CRL is available"
            }
            _ => "The previous CRL stays in force",
        }
    }
}

/// What is fetched is in force already. The log has said that fetching failed, so it says that it works again.
fn log_if_recovered(source: &Fetcher, issuer: &str) {
    if source.has_failed_before() {
        info!(url = source.url(), issuer, "CRL fetched again: it is the one in force");
    }
}

/// How long a start waits for each of the others once it could begin.
const LATE_FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `work` to its end on this thread.
fn wait_for<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // Not waiting for a name lookup that hangs: the next process may want to begin.
    runtime.shutdown_background();
    result
}
