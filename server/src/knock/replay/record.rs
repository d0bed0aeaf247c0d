//! The 64-byte records of the journal. Pure.
//!
//! ```text
//! record[64] = body[56] || tag[4] || CRC-32 of the 60 bytes before, big-endian
//!
//! head  body = "sknock journal 2" || boot id[16] || u64 floor, ms || u64 generation || zeros
//! used  body = KnockId[32] || first half of the one-time key's X[16] || u64 stamp, ms
//! done  body = u64 generation || zeros; last in a journal that was closed, and synced before
//! ```
//!
//! A journal is one `head` and any number of `used`, in a file that is longer: its end is where the zeros
//! begin. 64 divides every page, block and sector size, so no record spans two: it is written as a whole or
//! not at all. [`JournalHalf`] is one of the two journal files, parsed record by record.

use std::fmt;
use std::str::FromStr;

use sknock_protocol::{KnockId, Timestamp};

use super::{OneTimeKey, ReplayEntry};

/// The length of every record.
pub(super) const LENGTH: usize = 64;

const BODY: usize = 56;
const JOURNAL: &[u8; 16] = b"sknock journal 2";

/// An unwritten or cleared record.
pub(super) const NOTHING: [u8; LENGTH] = [0; LENGTH];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum JournalRecord {
    /// The beginning of a journal.
    Head(Head),
    /// This knock was admitted.
    Used(ReplayEntry),
    /// The journal of this generation was closed properly.
    Done(u64),
}

/// The first record of a journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    /// The boot in which it was begun.
    pub(super) boot: BootId,
    /// Every timestamp above it belongs to one of the knocks that follow, or was not admitted before.
    pub(super) floor: Timestamp,
    /// Begins with 1; that of the other file is one less.
    pub(super) generation: u64,
}

impl JournalRecord {
    /// The record on disk.
    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let (tag, parts): (&[u8; 4], [&[u8]; 4]) = match self {
            Self::Head(Head { boot, floor, generation }) => {
                (b"head", [JOURNAL, &boot.0, &millis(*floor), &generation.to_be_bytes()])
            }
            Self::Used(trace) => (b"used", [&trace.id.0, &trace.key.0, &millis(trace.stamp), &[]]),
            Self::Done(generation) => (b"done", [&generation.to_be_bytes(), &[], &[], &[]]),
        };
        let mut bytes = [0; LENGTH];
        let body = parts.concat();
        bytes[..body.len()].copy_from_slice(&body);
        bytes[BODY..BODY + 4].copy_from_slice(tag);
        let sum = crc32fast::hash(&bytes[..BODY + 4]);
        bytes[BODY + 4..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Parses a record; `None` if any bit is wrong.
    pub(super) fn decode(bytes: &[u8; LENGTH]) -> Option<Self> {
        let found = match &bytes[BODY..BODY + 4] {
            b"head" => Self::Head(Head {
                boot: BootId(part(bytes, 16)),
                floor: timestamp(bytes, 32),
                generation: u64::from_be_bytes(part(bytes, 40)),
            }),
            b"used" => Self::Used(ReplayEntry {
                id: KnockId(part(bytes, 0)),
                key: OneTimeKey(part(bytes, 32)),
                stamp: timestamp(bytes, 48),
            }),
            b"done" => Self::Done(u64::from_be_bytes(part(bytes, 0))),
            _ => return None,
        };
        // Each record has one encoding, so this checks magic, padding and checksum at once.
        (found.encode() == *bytes).then_some(found)
    }
}

fn millis(timestamp: Timestamp) -> [u8; 8] {
    timestamp.as_millis().to_be_bytes()
}

fn timestamp(bytes: &[u8; LENGTH], at: usize) -> Timestamp {
    Timestamp::from_millis(u64::from_be_bytes(part(bytes, at)))
}

fn part<const N: usize>(bytes: &[u8; LENGTH], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

/// The kernel's random identifier of the current boot.
///
/// Read from `/proc/sys/kernel/random/boot_id`. As long as it is the same, all data written by any process is
/// still there, synced or not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BootId(pub(super) [u8; 16]);

/// The text is not a boot id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a boot id: /proc/sys/kernel/random/boot_id has 32 hexadecimal digits and 4 hyphens")]
pub struct NotABootId;

impl FromStr for BootId {
    type Err = NotABootId;

    /// Parses the kernel's text, with or without line end.
    fn from_str(text: &str) -> Result<Self, NotABootId> {
        let digits: String = text.trim_ascii_end().chars().filter(|&c| c != '-').collect();
        // Exactly twice 16 digits; `from_str_radix` would also accept a sign.
        if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotABootId);
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|_| NotABootId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

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
        // Also of a record where none belongs: whatever can be read may have been admitted.
        self.newest = self.newest.max(match record {
            Some(JournalRecord::Head(head)) => head.floor,
            Some(JournalRecord::Used(trace)) => trace.stamp,
            Some(JournalRecord::Done(_)) | None => Timestamp::EPOCH,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each() -> [JournalRecord; 3] {
        let stamp = Timestamp::from_millis(1_700_000_000_123);
        let trace = ReplayEntry { stamp, id: KnockId([7; 32]), key: OneTimeKey([9; 16]) };
        let head = Head { boot: BootId([3; 16]), floor: stamp, generation: 258 };
        [JournalRecord::Head(head), JournalRecord::Used(trace), JournalRecord::Done(258)]
    }

    #[test]
    fn a_record_reads_as_written() {
        for record in each() {
            assert_eq!(JournalRecord::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn a_record_with_any_altered_bit_is_rejected() {
        for record in each() {
            for bit in 0..LENGTH * 8 {
                let mut bytes = record.encode();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(JournalRecord::decode(&bytes), None, "{record:?}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_hole_in_the_file_is_no_record() {
        assert_eq!(JournalRecord::decode(&NOTHING), None);
        assert_eq!(JournalRecord::decode(&[0xff; LENGTH]), None);
    }

    #[test]
    fn the_kernels_text_is_read() {
        let text = "0f3c1c8e-6b1c-4d5b-9d0a-0123456789ab\n";
        let boot: BootId = text.parse().unwrap();
        assert_eq!(boot.to_string(), "0f3c1c8e6b1c4d5b9d0a0123456789ab");
    }

    #[test]
    fn other_texts_are_not() {
        for text in ["", "\n", "0f3c1c8e", "+f3c1c8e-6b1c-4d5b-9d0a-0123456789ab", "é"] {
            assert_eq!(text.parse::<BootId>(), Err(NotABootId), "{text:?}");
        }
    }
}
