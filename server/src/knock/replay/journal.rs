//! Memory and files together: a knock is admitted once, also after `kill -9` and power loss.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use sknock_gate::Shares;
use sknock_protocol::{Encapsulation, Timestamp};

use super::journal_writer::{JournalFile, JournalWriter, PreviousFile, room};
use super::memory::min_retained;
use super::record;
use super::record::LENGTH;
use super::recovery::{self, History};
use super::shares::KnockOwner;
use super::state_dir::LastInForce;
use super::state_dir::{self, HORIZON, JOURNALS, LockError, StateDir};
use super::{BootId, Memory, Recorded, ReplayEntry, ReplayStore};

/// Remembers admitted knocks in memory and in `stateDir`. Shared by all threads.
///
/// Dropped without [`Journal::close`], its state is as after `kill -9`: complete in the same boot, uncertain
/// after another.
#[derive(Debug)]
pub struct Journal {
    memory: Memory,
    /// Locked after a shard of the memory, never before one.
    log: Mutex<JournalWriter>,
}

/// The caller's knowledge about earlier processes.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// The current boot.
    pub boot: BootId,
    /// The folder that was last in force.
    pub last_state: LastInForce,
}

/// The result of a recovery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecoveryReport {
    /// Knocks with a timestamp before this are refused, as they may have been admitted before.
    ///
    /// After a first start it is one window in the future, after a power loss up to a minute and a window. It
    /// is much later only if the clock was once ahead by that time. Remedy: wait, or correct the clock, stop
    /// the server, empty `stateDir` and start it again.
    pub admits_from: Timestamp,
    /// The reason.
    pub history: History,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: knocks with a timestamp before {} are refused",
            self.history, self.admits_from
        )
    }
}

/// Reasons why there is no replay memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process holds the lock.
    #[error("another sknockd uses {}. Stop it, or set another stateDir for this one", dir.display())]
    Held {
        /// The `stateDir`.
        dir: PathBuf,
    },
    /// The folder or a file in it cannot be used.
    #[error(
        "cannot {doing} in {}: {source}. stateDir must exist, belong to the user of sknockd and \
         have free space",
        dir.display()
    )]
    Unusable {
        /// The `stateDir`.
        dir: PathBuf,
        /// The attempted operation.
        doing: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl Journal {
    /// Renames objects in `dir` that occupy the paths of our files, and logs it, so that a start does not
    /// fail. Must be called before the process drops the right to rename.
    ///
    /// # Errors
    /// If the renaming fails.
    pub fn clear_the_way(dir: &Path) -> io::Result<()> {
        let mut files = JOURNALS.map(|name| (name, room(LARGEST_CAPACITY))).to_vec();
        files.push((HORIZON, 1 << 20));
        files.into_iter().try_for_each(|(name, largest)| state_dir::clear(&dir.join(name), largest))
    }

    /// Locks the folder `dir`, which must exist, and reads the admitted knocks.
    ///
    /// The first call makes the files, with disk blocks for their maximum size: later operation needs no more
    /// disk space. With a greater `capacity` they are extended; without space for that, they keep their size
    /// and hold fewer knocks.
    ///
    /// `now` and `boot` are the current ones. `window` is the permitted difference between timestamp and
    /// arrival, in either direction; about `capacity` knocks are remembered.
    pub fn open(
        dir: &Path,
        boot: &BootId,
        now: Timestamp,
        window: Duration,
        capacity: usize,
    ) -> Result<(Self, RecoveryReport), JournalError> {
        let past = Past { boot: *boot, last_state: LastInForce::default() };
        Self::open_after(dir, &past, now, window, capacity)
    }

    /// Same as `open`, with the folder that was last in force. If that is another one, knocks may have been
    /// admitted that are not in this folder: then no knock is accepted that could be one of them. The content
    /// of this folder is kept.
    ///
    /// # Errors
    /// Same as [`Journal::open`].
    pub fn open_after(
        dir: &Path,
        past: &Past,
        now: Timestamp,
        window: Duration,
        capacity: usize,
    ) -> Result<(Self, RecoveryReport), JournalError> {
        let Past { boot, last_state } = past;
        let unusable = |doing| {
            let dir = dir.to_owned();
            move |source| JournalError::Unusable { dir, doing, source }
        };
        let folder = StateDir::lock(dir).map_err(|reason| match reason {
            LockError::Held => JournalError::Held { dir: dir.to_owned() },
            LockError::Unusable(source) => unusable("take the lock")(source),
        })?;
        let journals = folder.journals().map_err(unusable("open the replay journal"))?;
        let (slots, content) =
            folder.horizon().map_err(unusable("create the file of the horizon"))?;
        let horizon = recovery::horizon(&content, now, window);
        // An uncertain horizon is written again.
        let synced = horizon.filter(|_| !content.doubtful).unwrap_or_default();

        let [first, second] = journals.map(Option::unzip);
        let extents = [&first.1, &second.1].map(|half| half.as_ref().map_or(0, extent));
        let found = recovery::read([first.1, second.1]);
        let current = found.current();
        let start = recovery::start(found, horizon, *boot, now, window, min_retained(capacity));
        let start = if last_state.is_another(folder.id().map_err(unusable("look"))?) {
            start.superseded(now.after(window).max(last_state.latest_until(now)))
        } else {
            start
        };
        let length = room(capacity.max(start.traces.len()));
        let half = |place: usize, file| {
            let made = folder.with_room(JOURNALS[place], file, length).and_then(|file| {
                let extent = extents[place].min(file.length()?);
                Ok(JournalFile { file, extent })
            });
            made.map_err(unusable("create the files of the replay journal"))
        };
        let halves = [half(0, first.0)?, half(1, second.0)?];
        let former = PreviousFile { halves, current, slots, horizon: synced };
        let log = JournalWriter::begin(folder, *boot, former, start.floor, &start.traces)
            .map_err(unusable("write the replay journal"))?;
        let admits_from = start.floor.after(Duration::from_millis(1));
        let memory = Memory::restored(window, capacity, start.floor, start.traces);
        let opened = RecoveryReport { admits_from, history: start.history };
        Ok((Self { memory, log: Mutex::new(log) }, opened))
    }

    /// Limits certificates and networks to these shares of the capacity.
    #[must_use]
    pub fn sharing(self, shares: Shares) -> Self {
        Self { memory: self.memory.sharing(shares), ..self }
    }

    /// Knocks with a timestamp before this are refused unless they are known, as they may have been admitted
    /// before. In the future only if the clock was once ahead, or just after [`Journal::open`].
    pub fn admits_from(&self) -> Timestamp {
        self.memory.floor().after(Duration::from_millis(1))
    }

    /// Syncs all data, and marks the journal as complete for the next boot.
    pub fn close(self) -> io::Result<()> {
        // A poisoned lock: a thread panicked during a write. Then no mark may be written.
        self.log
            .into_inner()
            .map_err(|_| io::Error::other("a thread panicked during a write"))?
            .close()
    }

    /// Writes `trace`; returns whether that succeeded, and whether the journal needs compaction.
    fn write(&self, trace: &ReplayEntry) -> (bool, bool) {
        let Ok(mut log) = self.log.lock() else { return (false, false) };
        let written = log.append(trace);
        if let Err(error) = &written {
            tracing::error!(%error, "cannot write the replay journal: no knock is accepted");
        }
        (written.is_ok(), log.needs_compaction())
    }

    /// Compacts the journal from memory, unless another thread just did.
    fn compact(&self) {
        let Some(frozen) = self.memory.freeze() else { return };
        let Ok(mut log) = self.log.lock() else { return };
        if !log.needs_compaction() {
            return;
        }
        if let Err(error) = log.compact(frozen.floor(), frozen.traces()) {
            tracing::warn!(%error, "cannot rewrite the replay journal. Trying again");
        }
    }
}

/// The maximum of `replayCapacity`, which limits the size of a journal.
const LARGEST_CAPACITY: usize = 10_000_000;

/// The length of the part that may be non-zero.
fn extent(half: &record::JournalHalf) -> u64 {
    half.extent * LENGTH as u64
}

impl ReplayStore for Journal {
    fn has_admitted(&self, encapsulation: &Encapsulation) -> bool {
        self.memory.has_admitted(encapsulation)
    }

    fn record(&self, trace: &ReplayEntry, now: Timestamp) -> Recorded {
        self.record_by(trace, None, now)
    }

    fn record_of(&self, trace: &ReplayEntry, sender: &KnockOwner<'_>, now: Timestamp) -> Recorded {
        self.record_by(trace, Some(sender), now)
    }
}

impl Journal {
    fn record_by(
        &self,
        trace: &ReplayEntry,
        sender: Option<&KnockOwner<'_>>,
        now: Timestamp,
    ) -> Recorded {
        let mut overgrown = false;
        let used = self.memory.record_if(trace, sender, now, || {
            let (written, grown) = self.write(trace);
            overgrown = grown;
            written
        });
        // After `record_if`, which holds the lock of a shard: `compact` locks all shards.
        if overgrown {
            self.compact();
        }
        used
    }
}
