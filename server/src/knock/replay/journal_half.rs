//! One of the two journal files, read record by record. Pure.

use sknock_protocol::Timestamp;

use super::ReplayEntry;
use super::record::{Head, JournalRecord, LENGTH, NOTHING};

/// What a journal file says, as far as it was fed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct JournalHalf {
    pub(super) head: Beginning,
    pub(super) traces: Vec<ReplayEntry>,
    /// It was closed in order, and everything before that was on the disk.
    pub(super) closed: bool,
    /// Something is in it that sknockd did not write.
    pub(super) broken: bool,
    /// The largest stamp in any record that can be read.
    pub(super) newest: Timestamp,
    /// Records up to the first zeros.
    pub(super) records: u64,
    /// Records up to the last that is not zeros.
    pub(super) extent: u64,
    /// Records that it was given.
    pub(super) fed: u64,
}

/// The first record of a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Beginning {
    /// Zeros: the file is there, but has never been begun.
    #[default]
    Nothing,
    /// It is not as it was written.
    Torn,
    /// As it was written.
    Whole(Head),
}

impl Beginning {
    /// Of the first record of a file.
    pub(super) fn read(bytes: &[u8; LENGTH]) -> Self {
        match JournalRecord::decode(bytes) {
            Some(JournalRecord::Head(head)) => Self::Whole(head),
            _ if *bytes == NOTHING => Self::Nothing,
            _ => Self::Torn,
        }
    }

    /// Of the journal; 0 if it has not begun.
    pub(super) fn generation(self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Torn => None,
            Self::Whole(head) => Some(head.generation),
        }
    }
}

impl JournalHalf {
    /// Takes the next record.
    pub(super) fn feed(&mut self, bytes: &[u8; LENGTH]) {
        let number = self.fed;
        self.fed += 1;
        if number == 0 {
            self.head = Beginning::read(bytes);
        }
        if *bytes == NOTHING {
            return;
        }
        // Only zeros may follow on zeros.
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
