//! The files of the replay memory: finds, makes and allocates them.
//!
//! `stateDir/journal.0`, `journal.1` and `horizon`, all 0600. The folder itself is locked, so there is no
//! lock file that could be deleted.
//!
//! The state directory that was last in force, and how far ahead the timestamps are that others may have
//! admitted: the privileged process keeps this and passes it to the network process.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use sknock_protocol::Timestamp;
use sknock_storage::{MovedAside, SlotContent, Slots, Stored, remove, set_aside, sync_folder};
use tracing::warn;

use super::record::LENGTH;
use super::record::{Beginning, JournalHalf};

/// The journal files, which are written alternately.
pub(super) const JOURNALS: [&str; 2] = ["journal.0", "journal.1"];
/// The file of the horizon: the largest timestamp that may have been admitted.
pub(super) const HORIZON: &str = "horizon";

/// The size of a horizon slot: the largest block that a disk writes atomically.
const SLOT: u64 = 4096;

/// Bytes per read. At least this many bytes after the last record are checked for zeros: that detects a hole.
const PIECE: usize = 1 << 20;

/// The locked folder.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    lock: Flock<File>,
}

/// Reasons why the folder cannot be locked.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process holds it.
    Held,
    /// It cannot be opened.
    Unusable(io::Error),
}

impl StateDir {
    /// Locks `path`.
    pub(super) fn lock(path: &Path) -> Result<Self, LockError> {
        let handle = File::open(path).map_err(LockError::Unusable)?;
        // The kernel releases it with the last descriptor, so also after `kill -9` (flock(2)).
        match Flock::lock(handle, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(LockError::Held),
            Err((_, errno)) => Err(LockError::Unusable(errno.into())),
        }
    }

    /// The identity of the folder.
    pub(super) fn id(&self) -> io::Result<FolderId> {
        Ok(FolderId::from(&self.lock.metadata()?))
    }

    /// Opens a file that may not exist.
    fn find(&self, name: &str) -> io::Result<Option<Stored>> {
        match Stored::open(&self.path.join(name)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The journal files and their content. Unreadable parts are treated as damaged.
    pub(super) fn journals(&self) -> io::Result<[Option<(Stored, JournalHalf)>; 2]> {
        let files = [self.find(JOURNALS[0])?, self.find(JOURNALS[1])?];
        let generation = |file: &Option<Stored>| file.as_ref().and_then(generation);
        let later = usize::from(generation(&files[1]) > generation(&files[0]));
        let mut places = 0..;
        Ok(files.map(|file| {
            let former = places.next() != Some(later);
            file.map(|file| {
                let half = scan(&file, former).unwrap_or_else(|_| spoilt(&file));
                (file, half)
            })
        }))
    }

    /// A file with disk blocks for at least `length` bytes: the given one, or a new one.
    ///
    /// # Errors
    /// If a new one cannot be allocated; then it is removed. An existing one is used with its length.
    pub(super) fn with_room(
        &self,
        name: &str,
        found: Option<Stored>,
        length: u64,
    ) -> io::Result<Stored> {
        let path = self.path.join(name);
        if let Some(file) = found {
            if let Err(error) = file.allocate(length) {
                let has = file.length()?;
                tracing::warn!(
                    "{}: no space for {length} bytes: {error}. The file stays at {has} bytes and \
                     holds fewer knocks than replayCapacity",
                    path.display()
                );
            }
            return Ok(file);
        }
        let file = Stored::create(&path, 0o600)?;
        file.allocate(length).and_then(|()| file.sync()).or_else(|error| {
            // If it stayed, the next start would use it with the little room that it got.
            remove(&path)?;
            Err(error)
        })?;
        Ok(file)
    }

    /// The slots of the horizon, and their content.
    pub(super) fn horizon(&self) -> io::Result<(Slots, SlotContent)> {
        let file = match self.find(HORIZON)? {
            Some(file) => file,
            None => self.with_room(HORIZON, None, 2 * SLOT)?,
        };
        let length = file.length()?;
        if length < 2 * SLOT {
            file.clear(length, 2 * SLOT)?;
        }
        Slots::read(file, SLOT)
    }

    /// Syncs the folder, so that its names survive a power loss.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }
}

/// Reads a journal file up to the zeros at its end.
///
/// Of the previous file only the data for recognizing and clearing it is kept.
fn scan(file: &Stored, former: bool) -> io::Result<JournalHalf> {
    let (mut half, mut offset) = (JournalHalf::default(), 0);
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read_at(&mut piece, offset)?;
        let piece = &piece[..read];
        // Also at the end of the file: then nothing was read.
        if piece.iter().all(|&byte| byte == 0) {
            return Ok(half);
        }
        let (records, rest) = piece.as_chunks::<LENGTH>();
        for record in records {
            half.feed(record);
            if former {
                half.traces.clear();
            }
        }
        // An incomplete record at the end of the file: sknockd did not set this length.
        if rest.iter().any(|&byte| byte != 0) {
            half.broken = true;
            half.extent = half.fed + 1;
        }
        offset += read as u64;
    }
}

/// The generation in the file's head, if that is intact.
fn generation(file: &Stored) -> Option<u64> {
    let mut head = [0; LENGTH];
    file.read_at(&mut head, 0).ok()?;
    Beginning::read(&head).generation()
}

/// The content of an unreadable file.
fn spoilt(file: &Stored) -> JournalHalf {
    let extent = file.length().unwrap_or(0) / LENGTH as u64;
    JournalHalf { head: Beginning::Torn, broken: true, extent, ..JournalHalf::default() }
}

/// Renames the object at `path`, unless it is a regular file of ours of at most `largest` bytes.
pub(crate) fn clear(path: &Path, largest: u64) -> io::Result<()> {
    set_aside(path, Some(geteuid().as_raw()), largest).map(|found| tell(path, found))
}

/// Same as `clear` for files of any owner: we replace the file by another.
pub(crate) fn clear_of_any_owner(path: &Path, largest: u64) -> io::Result<()> {
    set_aside(path, None, largest).map(|found| tell(path, found))
}

fn tell(path: &Path, found: Option<MovedAside>) {
    if let Some(MovedAside { why, renamed }) = found {
        let (path, renamed) = (path.display(), renamed.display());
        warn!("cannot use {path}: {why}. Renamed it to {renamed}; the start continues without it");
    }
}

/// A folder's identity, independent of its path. It includes the time of creation, if the file system reports
/// it: inode numbers are reused.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FolderId {
    device: u64,
    inode: u64,
    /// Since 1970.
    made: Option<Duration>,
}

impl From<&Metadata> for FolderId {
    fn from(found: &Metadata) -> Self {
        let made = found.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Self { device: found.dev(), inode: found.ino(), made }
    }
}

/// The state before a network process locks its state directory.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LastInForce {
    /// In this boot and network namespace; `None` if unknown.
    pub folder: Option<FolderId>,
    /// The timestamp window with which that one admits knocks.
    pub window: Duration,
    /// No state directory has admitted a later timestamp, up to now; in milliseconds since 1970.
    pub latest: u64,
}

impl LastInForce {
    /// Whether another folder than this was last in force, so that knocks were admitted which are not in this
    /// one's journal.
    pub fn is_another(&self, folder: FolderId) -> bool {
        self.folder.is_some_and(|last| last != folder)
    }

    /// The latest timestamp that was admitted before `now`, if knocks were admitted until then.
    pub(super) fn latest_until(&self, now: Timestamp) -> Timestamp {
        now.after(self.window).max(Timestamp::from_millis(self.latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_identified_independently_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let id = |name: &str| FolderId::from(&std::fs::metadata(folder.path().join(name)).unwrap());
        for name in ["a", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let [first, second] = [id("a"), id("b")];
        assert_ne!(first, second);
        std::fs::rename(folder.path().join("a"), folder.path().join("c")).unwrap();
        std::fs::rename(folder.path().join("b"), folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("c/file"), "").unwrap();
        assert_eq!([id("c"), id("a")], [first, second]);
        let last = |folder| LastInForce { folder, ..LastInForce::default() };
        assert!(last(Some(first)).is_another(second) && !last(Some(first)).is_another(first));
        assert!(!last(None).is_another(first), "nobody knows of another one");
    }
}
