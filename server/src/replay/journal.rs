//! Memory and files together: a knock is accepted once, also after `kill -9` and power loss.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use sknock_gate::Shares;
use sknock_protocol::{Encapsulation, Moment};

use super::files::{Folder, HORIZON, JOURNAL, Log, NotOurs};
use super::memory::spare;
use super::opening::{self, Found, History};
use super::sharing::Sender;
use super::{BootId, Memory, ReplayStore, Trace, Used};

/// Remembers used knocks in memory and in `stateDir`. Shared by all threads.
///
/// Dropped without [`Journal::close`], it is as after `kill -9`: complete in the same boot, in
/// doubt after another.
#[derive(Debug)]
pub struct Journal {
    memory: Memory,
    /// Locked after a shard of the memory, never before one.
    log: Mutex<Log>,
}

/// What was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opened {
    /// Knocks stamped before this are refused, as they may have been admitted before.
    ///
    /// After a first start that is one window ahead, after a power loss up to a minute and a
    /// window. Much later only if the clock was that late once; then either wait, or, with the
    /// clock right, stop the server, empty `stateDir` and start it again.
    pub admits_from: Moment,
    /// Why.
    pub history: History,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accepting knocks stamped {} or later: {}", self.admits_from, self.history)
    }
}

/// Why there is no replay memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has the lock.
    #[error("another sknockd uses {}: stop it, or give this one a stateDir of its own", dir.display())]
    Held {
        /// The `stateDir`.
        dir: PathBuf,
    },
    /// The folder or a file in it cannot be used.
    #[error(
        "cannot {doing} in {}: {source}; stateDir must exist, belong to sknockd's user and have room",
        dir.display()
    )]
    Unusable {
        /// The `stateDir`.
        dir: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// What came of it.
        source: io::Error,
    },
}

impl Journal {
    /// Takes the folder `dir`, which must exist, and learns from it what was admitted before.
    ///
    /// `now` and `boot` are the current ones. `window` is how far a stamp may be from the time of
    /// arrival, in either direction; about `capacity` knocks are remembered at a time.
    pub fn open(
        dir: &Path,
        boot: &BootId,
        now: Moment,
        window: Duration,
        capacity: usize,
    ) -> Result<(Self, Opened), JournalError> {
        let unusable = |doing| {
            let dir = dir.to_owned();
            move |source| JournalError::Unusable { dir, doing, source }
        };
        let folder = Folder::lock(dir).map_err(|reason| match reason {
            NotOurs::Held => JournalError::Held { dir: dir.to_owned() },
            NotOurs::Unusable(source) => unusable("take the lock")(source),
        })?;
        let found = match folder.read(JOURNAL) {
            Ok(Some(bytes)) => opening::read(&bytes),
            Ok(None) => Found::Missing,
            Err(_) => Found::Damaged { newest: Moment::EPOCH },
        };
        // A horizon that cannot be read is as good as none, and is replaced before it matters.
        let horizon =
            folder.read(HORIZON).ok().flatten().and_then(|bytes| opening::read_horizon(&bytes));
        let start = opening::start(found, horizon, *boot, now, window, spare(capacity));
        let log =
            Log::begin(folder, *boot, horizon.unwrap_or_default(), start.floor, &start.traces)
                .map_err(unusable("write the replay journal"))?;
        let admits_from = start.floor.after(Duration::from_millis(1));
        let memory = Memory::restored(window, capacity, start.floor, start.traces);
        let opened = Opened { admits_from, history: start.history };
        Ok((Self { memory, log: Mutex::new(log) }, opened))
    }

    /// Gives no certificate and no network more than these shares of the capacity.
    #[must_use]
    pub fn sharing(self, shares: Shares) -> Self {
        Self { memory: self.memory.sharing(shares), ..self }
    }

    /// Knocks stamped before this are refused unless they are known, as they may have been admitted
    /// before. In the future only if the clock was ahead once, or just after
    /// [`Journal::open`].
    pub fn admits_from(&self) -> Moment {
        self.memory.floor().after(Duration::from_millis(1))
    }

    /// Syncs everything, and marks the journal as complete for the next boot.
    pub fn close(self) -> io::Result<()> {
        // A poisoned log: a thread died while it wrote. Then there shall be no mark.
        self.log.into_inner().map_err(|_| io::Error::other("a writing thread died"))?.close()
    }

    /// Writes `trace` down; tells whether the journal has grown beyond need, or nothing if it
    /// could not be written.
    fn write(&self, trace: &Trace) -> Option<bool> {
        let mut log = self.log.lock().ok()?;
        match log.append(trace) {
            Ok(()) => Some(log.is_overgrown()),
            Err(error) => {
                tracing::error!(%error, "cannot write the replay journal, so no knock is accepted");
                None
            }
        }
    }

    /// Writes the journal anew from memory, unless another thread just did.
    fn compact(&self) {
        let Some(frozen) = self.memory.freeze() else { return };
        let Ok(mut log) = self.log.lock() else { return };
        if !log.is_overgrown() {
            return;
        }
        if let Err(error) = log.rewrite(frozen.floor(), frozen.traces()) {
            tracing::warn!(%error, "cannot shorten the replay journal; it goes on growing");
        }
    }
}

impl ReplayStore for Journal {
    fn has_admitted(&self, encapsulation: &Encapsulation) -> bool {
        self.memory.has_admitted(encapsulation)
    }

    fn record(&self, trace: &Trace, now: Moment) -> Used {
        self.record_by(trace, None, now)
    }

    fn record_of(&self, trace: &Trace, sender: &Sender<'_>, now: Moment) -> Used {
        self.record_by(trace, Some(sender), now)
    }
}

impl Journal {
    fn record_by(&self, trace: &Trace, sender: Option<&Sender<'_>>, now: Moment) -> Used {
        let mut overgrown = false;
        let used = self.memory.record_if(trace, sender, now, || match self.write(trace) {
            Some(grown) => {
                overgrown = grown;
                true
            }
            None => false,
        });
        if overgrown {
            self.compact();
        }
        used
    }
}
