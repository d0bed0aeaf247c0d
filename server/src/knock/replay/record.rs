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
//! not at all.
//! or it is not.

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
    fn no_altered_bit_is_believed() {
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
