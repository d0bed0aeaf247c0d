//! A value that is overwritten in place: two slots, written alternately, so that one is always complete.
//!
//! ```text
//! slot = "sknslot1" || u64 sequence number || u32 length || CRC-32 || value
//! ```
//!
//! Numbers are big-endian. The CRC covers all other bytes. A slot of zeros has never been written.

use std::io;

use crate::stored::Stored;

const MAGIC: &[u8; 8] = b"sknslot1";

/// Bytes before the value.
const HEAD: usize = 24;

/// A file of two slots.
#[derive(Debug)]
pub struct Slots {
    file: Stored,
    /// Size of one slot in bytes.
    size: u64,
    /// The index of the slot with the latest value that is known to be written; it must not be overwritten.
    last: usize,
    sequence: u64,
}

/// The content of the slots.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotContent {
    /// The value of the latest complete slot.
    pub latest: Option<Vec<u8>>,
    /// A slot is neither complete nor empty: its write was interrupted, or the disk is damaged.
    pub doubtful: bool,
}

#[derive(Debug, Eq, PartialEq)]
enum Slot {
    Empty,
    Torn,
    Whole(u64, Vec<u8>),
}

impl Slots {
    /// Reads a file of two slots of `size` bytes each. Missing bytes are treated as an empty slot.
    ///
    /// Each slot should have disk blocks of its own, so that a torn block damages one slot only.
    pub fn read(file: Stored, size: u64) -> io::Result<(Self, SlotContent)> {
        let slots = [read(&file, 0, size)?, read(&file, size, size)?];
        let doubtful = slots.contains(&Slot::Torn);
        let sequence = |slot: &Slot| if let Slot::Whole(number, _) = slot { *number } else { 0 };
        let last = usize::from(sequence(&slots[1]) > sequence(&slots[0]));
        let sequence = sequence(&slots[last]);
        let latest = match slots.into_iter().nth(last) {
            Some(Slot::Whole(_, value)) => Some(value),
            _ => None,
        };
        Ok((Self { file, size, last, sequence }, SlotContent { latest, doubtful }))
    }

    /// Overwrites the older value with this one. It survives a crash of the process, but not of the machine.
    ///
    /// # Errors
    /// If the write fails. The latest value is kept then.
    pub fn put(&mut self, value: &[u8]) -> io::Result<()> {
        self.write(value)?;
        self.advance();
        Ok(())
    }

    /// Same as [`Slots::put`]; it also survives a power loss.
    pub fn put_for_good(&mut self, value: &[u8]) -> io::Result<()> {
        self.write(value)?;
        // After a failed sync the state of the slot is unknown: the next attempt writes the same slot.
        self.file.sync()?;
        self.advance();
        Ok(())
    }

    fn write(&self, value: &[u8]) -> io::Result<()> {
        let slot = encode(self.sequence + 1, value)?;
        if slot.len() as u64 > self.size {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.file.write_at(&slot, (1 - self.last as u64) * self.size)
    }

    fn advance(&mut self) {
        self.last = 1 - self.last;
        self.sequence += 1;
    }
}

fn encode(sequence: u64, value: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(value.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut head = MAGIC.to_vec();
    head.extend(sequence.to_be_bytes());
    head.extend(length.to_be_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head);
    sum.update(value);
    head.extend(sum.finalize().to_be_bytes());
    head.extend(value);
    Ok(head)
}

fn read(file: &Stored, at: u64, size: u64) -> io::Result<Slot> {
    let mut head = [0; HEAD];
    let found = file.read_at(&mut head, at)?;
    if head[..found].iter().all(|&byte| byte == 0) {
        return Ok(Slot::Empty);
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    let (sequence, length) = (number(&head[8..16]), number(&head[16..20]));
    // A damaged length must not decide how much memory is taken.
    if length > size - HEAD as u64 {
        return Ok(Slot::Torn);
    }
    let mut value = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?];
    file.read_at(&mut value, at + HEAD as u64)?;
    // The comparison covers magic and CRC; numbers begin with 1.
    let whole = encode(sequence, &value)?[..HEAD] == head && sequence > 0;
    Ok(if whole { Slot::Whole(sequence, value) } else { Slot::Torn })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slots");
        drop(Stored::create(&path, 0o600).unwrap());
        (folder, path)
    }

    fn open(path: &std::path::Path) -> (Slots, SlotContent) {
        Slots::read(Stored::open(path).unwrap(), 512).unwrap()
    }

    #[test]
    fn the_latest_value_is_read_or_the_former_one_if_it_is_damaged() {
        let (_folder, path) = file();
        assert_eq!(open(&path).1, SlotContent { latest: None, doubtful: false });
        for number in 1..6_u8 {
            open(&path).0.put_for_good(&[number; 9]).unwrap();
            assert_eq!(
                open(&path).1,
                SlotContent { latest: Some(vec![number; 9]), doubtful: false }
            );
        }
        // The fifth value is in the second slot: the first put to an empty file writes there.
        for bit in 0..(HEAD + 9) * 8 {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[512 + bit / 8] ^= 1 << (bit % 8);
            let torn = path.with_extension("torn");
            std::fs::write(&torn, bytes).unwrap();
            let expected = SlotContent { latest: Some(vec![4; 9]), doubtful: true };
            assert_eq!(open(&torn).1, expected, "bit {bit}");
            open(&torn).0.put(b"next").unwrap();
            assert_eq!(open(&torn).1.latest.as_deref(), Some(&b"next"[..]));
        }
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let (_folder, path) = file();
        let (mut slots, _) = open(&path);
        slots.put(b"value").unwrap();
        assert!(slots.put(&[1; 512]).is_err());
        assert_eq!(open(&path).1.latest.as_deref(), Some(&b"value"[..]));
    }
}
