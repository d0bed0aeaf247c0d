//! Every file operation of the replay journal; decides nothing.
//!
//! `stateDir/journal` and `stateDir/horizon`, both 0600. The folder itself is locked, so there is
//! no lock file that somebody could delete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use sknock_protocol::Moment;

use super::record::{LENGTH, Record};
use super::{BootId, Trace};

/// The file of used knocks.
pub(super) const JOURNAL: &str = "journal";
/// The file of the largest stamp that may have been admitted.
pub(super) const HORIZON: &str = "horizon";

/// How far the horizon is put ahead: one sync a minute in use, and after a power loss clients wait
/// a minute at most.
const AHEAD: Duration = Duration::from_secs(60);

/// Records beyond twice what was worth keeping (1 MiB) before the journal is written anew.
const SLACK: u64 = 16 * 1024;

/// The folder that is ours alone as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    handle: Flock<File>,
}

/// Why a folder is not ours.
#[derive(Debug)]
pub(super) enum NotOurs {
    /// Another process holds it.
    Held,
    /// It cannot be opened.
    Unusable(io::Error),
}

impl Folder {
    /// Locks `path`.
    pub(super) fn lock(path: &Path) -> Result<Self, NotOurs> {
        let handle = File::open(path).map_err(NotOurs::Unusable)?;
        match Flock::lock(handle, FlockArg::LockExclusiveNonblock) {
            Ok(handle) => Ok(Self { path: path.to_owned(), handle }),
            Err((_, Errno::EWOULDBLOCK)) => Err(NotOurs::Held),
            Err((_, errno)) => Err(NotOurs::Unusable(errno.into())),
        }
    }

    /// All of a file; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a file of these records in the place of `name`, whole or not at all, and keeps it open
    /// for more; tells its length too. Its content is synced; its name is only after
    /// [`Folder::sync`].
    fn replace(
        &self,
        name: &str,
        records: impl Iterator<Item = Record>,
    ) -> io::Result<(File, u64)> {
        let draft = self.path.join(format!("{name}.new"));
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&draft)?;
        let mut writer = BufWriter::new(file);
        let mut length = 0;
        for record in records {
            writer.write_all(&record.encode())?;
            length += LENGTH as u64;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        // Nothing may fail after this: the caller must know which file has the name.
        fs::rename(&draft, self.path.join(name))?;
        Ok((file, length))
    }

    /// Makes the names in the folder survive a power loss.
    fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// The journal that is being written, and the horizon.
#[derive(Debug)]
pub(super) struct Log {
    folder: Folder,
    boot: BootId,
    file: File,
    /// Bytes of whole records in `file`.
    length: u64,
    /// Whether there may be a part of a record behind them.
    torn: bool,
    /// When to write the journal anew, in bytes.
    enough: u64,
    /// As it is on disk, synced.
    horizon: Moment,
}

impl Log {
    /// Puts a new journal in place and syncs it, so that a closing mark in an old one is gone for
    /// good. `horizon` is what is on disk.
    pub(super) fn begin(
        folder: Folder,
        boot: BootId,
        horizon: Moment,
        floor: Moment,
        traces: &[Trace],
    ) -> io::Result<Self> {
        let records = journal(boot, floor, traces.iter().copied());
        let (file, length) = folder.replace(JOURNAL, records)?;
        folder.sync()?;
        let enough = enough(length);
        let mut log = Self { folder, boot, file, length, torn: false, enough, horizon };
        // The horizon may be lost, or older than a floor made without one.
        log.reach(traces.iter().map(|trace| trace.stamp).fold(floor, Moment::max))?;
        Ok(log)
    }

    /// Writes a knock down. After an error it is not in the journal.
    pub(super) fn append(&mut self, trace: &Trace) -> io::Result<()> {
        self.reach(trace.stamp)?;
        self.append_record(Record::Used(*trace))
    }

    /// Whether it is time for [`Log::rewrite`].
    pub(super) fn is_overgrown(&self) -> bool {
        self.length >= self.enough
    }

    /// Writes the journal anew, with this content. After an error the old one goes on.
    pub(super) fn rewrite(
        &mut self,
        floor: Moment,
        traces: impl Iterator<Item = Trace>,
    ) -> io::Result<()> {
        // Should this fail: not before as many records more.
        self.enough = enough(self.length);
        let (file, length) = self.folder.replace(JOURNAL, journal(self.boot, floor, traces))?;
        // From here the new file has the name, synced or not.
        (self.file, self.length, self.torn) = (file, length, false);
        self.enough = enough(length);
        self.folder.sync()
    }

    /// Syncs the journal, then marks it as closed in order. Its name is synced since it has it.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.mend()?;
        self.file.sync_all()?;
        // Whatever a failed sync of the folder in `rewrite` left undone.
        self.folder.sync()?;
        self.append_record(Record::Done)?;
        self.file.sync_all()
    }

    /// Has the horizon on disk at `stamp` or later.
    fn reach(&mut self, stamp: Moment) -> io::Result<()> {
        if stamp > self.horizon {
            let ahead = stamp.after(AHEAD);
            self.folder.replace(HORIZON, std::iter::once(Record::Horizon(ahead)))?;
            self.folder.sync()?;
            self.horizon = ahead;
        }
        Ok(())
    }

    fn append_record(&mut self, record: Record) -> io::Result<()> {
        self.mend()?;
        let written = self.file.write(&record.encode());
        if let Ok(LENGTH) = written {
            self.length += LENGTH as u64;
            return Ok(());
        }
        self.torn = true;
        // At once, so that a crash finds a whole file; if that fails, before the next record.
        let mended = self.mend();
        written.and(mended).and(Err(io::ErrorKind::WriteZero.into()))
    }

    /// Cuts off what a failed write may have left.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// What a journal with this content consists of.
fn journal(
    boot: BootId,
    floor: Moment,
    traces: impl Iterator<Item = Trace>,
) -> impl Iterator<Item = Record> {
    std::iter::once(Record::Head(boot, floor)).chain(traces.map(Record::Used))
}

/// Twice the length and some: then writing anew costs, per knock, as much as writing once.
fn enough(length: u64) -> u64 {
    2 * length + SLACK * LENGTH as u64
}
