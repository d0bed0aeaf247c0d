//! Appends to the journal in use, compacts and closes it, and extends the horizon. All writes go to disk
//! blocks that were allocated at the start.

use std::io;
use std::time::Duration;

use sknock_protocol::Timestamp;
use sknock_storage::{Slots, Stored};

use super::record::{Head, JournalRecord, LENGTH};
use super::state_dir::StateDir;
use super::{BootId, ReplayEntry};

/// How far the horizon is set ahead: one sync a minute during use, and a minute's wait at most after a power
/// loss.
const HORIZON_STEP: Duration = Duration::from_secs(60);

/// Records beyond twice the compacted size (1 MiB) before the journal is compacted.
const SLACK: u64 = 16 * 1024;

/// Records kept free for knocks during a compaction, and for the closing mark.
const MARGIN: u64 = 64;

/// Records encoded per write.
const PIECE: usize = 1024;

/// The length of each journal file in bytes for this number of knocks: a quarter more, so that compactions
/// are rare, and a constant. A multiple of the page size.
pub(super) fn room(knocks: usize) -> u64 {
    let knocks = knocks as u64;
    ((knocks + knocks / 4 + 4 * MARGIN) * LENGTH as u64).next_multiple_of(4096)
}

/// One of the two files.
#[derive(Debug)]
pub(super) struct JournalFile {
    pub(super) file: Stored,
    /// The length of the part that may be non-zero.
    pub(super) extent: u64,
}

/// The journal that is being written, and the horizon.
#[derive(Debug)]
pub(super) struct JournalWriter {
    folder: StateDir,
    boot: BootId,
    halves: [JournalFile; 2],
    /// The index of the file in use.
    place: usize,
    generation: u64,
    /// Bytes of records in it.
    length: u64,
    /// Its allocated length in bytes.
    room: u64,
    /// The length in bytes at which it is compacted.
    enough: u64,
    /// A sync has failed, so the content of the disk is unknown: nothing is appended before the next
    /// compaction.
    doubtful: bool,
    slots: Slots,
    /// The synced value on disk.
    horizon: Timestamp,
}

/// The files found at the start.
#[derive(Debug)]
pub(super) struct PreviousFile {
    pub(super) halves: [JournalFile; 2],
    /// The index and generation of the file in use; `None` if neither can be trusted.
    pub(super) current: Option<(usize, u64)>,
    pub(super) slots: Slots,
    /// The value in the slots.
    pub(super) horizon: Timestamp,
}

impl JournalWriter {
    /// Writes a new journal and syncs it, which invalidates a closing mark in an old one.
    pub(super) fn begin(
        folder: StateDir,
        boot: BootId,
        former: PreviousFile,
        floor: Timestamp,
        traces: &[ReplayEntry],
    ) -> io::Result<Self> {
        let PreviousFile { halves, current, slots, horizon } = former;
        let (place, generation) = current.unwrap_or((1, 0));
        let (length, room, enough) = (0, 0, 0);
        let mut log = Self {
            folder,
            boot,
            halves,
            place,
            generation,
            length,
            room,
            enough,
            doubtful: false,
            slots,
            horizon,
        };
        // The horizon may be lost, or older than a floor computed without one.
        log.extend_horizon(traces.iter().map(|trace| trace.stamp).fold(floor, Timestamp::max))?;
        if current.is_none() {
            // Two compactions, here and below: each writes one file, and a start takes an empty file beside a
            // used one for damaged (`recovery::read`).
            log.reset()?;
            log.compact(floor, traces.iter().copied())?;
        }
        log.compact(floor, traces.iter().copied())?;
        log.folder.sync()?;
        Ok(log)
    }

    /// Appends a knock. After an error it may be in the journal, but was not admitted.
    pub(super) fn append(&mut self, trace: &ReplayEntry) -> io::Result<()> {
        if self.doubtful {
            // No second sync: it may succeed although the kernel has dropped the pages that it could not
            // write.
            return Err(io::Error::other("an earlier sync failed"));
        }
        self.extend_horizon(trace.stamp)?;
        self.append_record(JournalRecord::Used(*trace))
    }

    /// Whether [`JournalWriter::compact`] is due.
    pub(super) fn needs_compaction(&self) -> bool {
        self.doubtful || self.length >= self.enough
    }

    /// Writes the journal, with this content, into the other file. After an error the old one stays in use,
    /// unless it is unknown which one a start would use: then nothing is appended until this succeeds.
    pub(super) fn compact(
        &mut self,
        floor: Timestamp,
        traces: impl Iterator<Item = ReplayEntry>,
    ) -> io::Result<()> {
        // After a failure, the next attempt comes after the same number of records.
        self.enough = self.length + SLACK * LENGTH as u64;
        // The head of the file in use must be synced before that of the other file is changed.
        self.halves[self.place].file.sync()?;
        let target = 1 - self.place;
        let room = self.halves[target].file.length()?;
        let length = self.halves[target].fill(room, traces)?;
        let head = Head { boot: self.boot, floor, generation: self.generation + 1 };
        self.doubtful = true;
        self.halves[target].file.write_at(&JournalRecord::Head(head).encode(), 0)?;
        // From here on a start would use the other file, synced or not.
        (self.place, self.generation) = (target, head.generation);
        (self.length, self.room) = (length, room);
        self.halves[target].file.sync()?;
        self.doubtful = false;
        self.enough = enough(length, room);
        Ok(())
    }

    /// Syncs the journal, then marks it as closed properly.
    pub(super) fn close(mut self) -> io::Result<()> {
        if self.doubtful {
            return Err(io::Error::other("an earlier sync failed"));
        }
        self.halves[self.place].file.sync()?;
        self.append_record(JournalRecord::Done(self.generation))?;
        self.halves[self.place].file.sync()
    }

    /// Makes the horizon on disk at least `stamp`.
    fn extend_horizon(&mut self, stamp: Timestamp) -> io::Result<()> {
        if stamp > self.horizon {
            let ahead = stamp.after(HORIZON_STEP);
            self.slots.put_for_good(&ahead.as_millis().to_be_bytes())?;
            self.horizon = ahead;
        }
        Ok(())
    }

    /// Clears both files. Both must be written afterwards: a start treats a file without head as damaged.
    fn reset(&mut self) -> io::Result<()> {
        for half in &mut self.halves {
            half.file.clear(0, half.extent)?;
            half.file.sync()?;
            half.extent = 0;
        }
        Ok(())
    }

    fn append_record(&mut self, record: JournalRecord) -> io::Result<()> {
        let end = self.length + LENGTH as u64;
        // One record stays free, because zeros mark the end.
        if end + LENGTH as u64 > self.room {
            // A compaction is due at once: it leaves out what the memory has forgotten.
            self.enough = 0;
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the journal file is full"));
        }
        let half = &mut self.halves[self.place];
        half.extent = half.extent.max(end);
        half.file.write_at(&record.encode(), self.length)?;
        self.length = end;
        Ok(())
    }
}

impl JournalFile {
    /// Writes all records except the head, and zeros after them, and syncs; returns the total length in
    /// bytes.
    fn fill(&mut self, room: u64, traces: impl Iterator<Item = ReplayEntry>) -> io::Result<u64> {
        let mut length = LENGTH as u64;
        let mut traces = traces.map(JournalRecord::Used);
        loop {
            let piece: Vec<u8> = traces.by_ref().take(PIECE).flat_map(|one| one.encode()).collect();
            if piece.is_empty() {
                break;
            }
            let end = length + piece.len() as u64;
            if end + 2 * LENGTH as u64 > room {
                let text = "the journal file is too small for the replay memory";
                return Err(io::Error::new(io::ErrorKind::StorageFull, text));
            }
            self.extent = self.extent.max(end);
            self.file.write_at(&piece, length)?;
            length = end;
        }
        self.file.clear(length, self.extent)?;
        self.file.sync()?;
        self.extent = length;
        Ok(length)
    }
}

/// Twice the length and a constant, limited to the file's size: so compactions cost about as much per knock
/// as appending.
fn enough(length: u64, room: u64) -> u64 {
    (2 * length + SLACK * LENGTH as u64).min(room.saturating_sub(MARGIN * LENGTH as u64))
}
