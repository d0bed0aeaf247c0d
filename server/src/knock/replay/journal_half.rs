//! Parses one of the two journal files, record by record. Pure.

use sknock_protocol::Timestamp;

use super::ReplayEntry;
use super::record::{Head, JournalRecord, LENGTH, NOTHING};

/// The content of a journal file, as far as it was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct JournalHalf {
    pub(super) head: Beginning,
    pub(super) traces: Vec<ReplayEntry>,
    /// It was closed properly, and all earlier records were synced.
    pub(super) closed: bool,
    /// It contains something that sknockd did not write.
    pub(super) broken: bool,
    /// The largest timestamp in any readable record.
    pub(super) newest: Timestamp,
    /// Records up to the first zeros.
    pub(super) records: u64,
    /// Records up to the last non-zero one.
    pub(super) extent: u64,
    /// Records read so far.
    pub(super) fed: u64,
}

/// The first record of a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Beginning {
    /// Zeros: the file exists, but was never used.
    #[default]
    Nothing,
    /// It is damaged.
    Torn,
    /// It is intact.
    Whole(Head),
}

impl Beginning {
    /// Parses the first record of a file.
    pub(super) fn read(bytes: &[u8; LENGTH]) -> Self {
        match JournalRecord::decode(bytes) {
            Some(JournalRecord::Head(head)) => Self::Whole(head),
            _ if *bytes == NOTHING => Self::Nothing,
            _ => Self::Torn,
        }
    }

    /// The generation of the journal; 0 if it is unused.
    pub(super) fn generation(self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Torn => None,
            Self::Whole(head) => Some(head.generation),
        }
    }
}

impl JournalHalf {
    /// Reads the next record.
    pub(super) fn feed(&mut self, bytes: &[u8; LENGTH]) {
        let number = self.fed;
        self.fed += 1;
        if number == 0 {
            self.head = Beginning::read(bytes);
        }
        if *bytes == NOTHING {
            return;
        }
        // Zeros may only be followed by zeros.
        self.broken |= self.records < number;
        self.extent = self.fed;
        if self.records == number {
            self.records = self.fed;
        }
        let record = JournalRecord::decode(bytes);
        match (number, record) {
            (0, Some(JournalRecord::Head(_))) => {}
            (1.., Some(JournalRecord::Used(trace))) => {
                self.broken |= self.closed;
                self.traces.push(trace);
            }
            (1.., Some(JournalRecord::Done(generation))) => {
                self.broken |= self.closed || self.head.generation() != Some(generation);
                self.closed = true;
            }
            _ => self.broken = true,
        }
        self.newest = self.newest.max(match record {
            Some(JournalRecord::Head(head)) => head.floor,
            Some(JournalRecord::Used(trace)) => trace.stamp,
            Some(JournalRecord::Done(_)) | None => Timestamp::EPOCH,
        });
    }
}
