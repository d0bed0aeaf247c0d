//! Grants in files beside the namespace lock, for the gate that begins after this one: the kernel's elements
//! name one certificate each, and may come from a saved ruleset.
//!
//! ```text
//! two files, of which the one with the higher number is valid:
//!   "sknock-g" | u64 number | [32] boot and network namespace | entries: first all that there was, then each change
//! ```
//! The other file is written whole, its header last, which makes it the valid one: there is a whole file at
//! every moment. An incomplete entry at the end is left out: its request was never answered. The files
//! outlive a process, not the machine: nothing is synced, and the folder is in memory.

pub(crate) mod event;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;

use event::SavedEvent;

use crate::grants::GrantTable;
use crate::namespace_lock::NamespaceLock;
use crate::origin::Origin;
use crate::remembered::{BlockedFlows, ExpiredGrants};
use crate::uptime::BootInstant;

const MAGIC: &[u8; 8] = b"sknock-g";
/// The magic, the number, the origin.
const HEADER: usize = MAGIC.len() + size_of::<u64>() + Origin::LEN;
/// Above twice its first size and this, in bytes, the file is written whole again.
const SLACK: u64 = 1 << 20;

/// The files, and what was not written yet.
#[derive(Debug)]
pub struct GrantFile {
    files: [File; 2],
    /// Which of them is valid.
    current: usize,
    number: u64,
    origin: Origin,
    /// How long that one is, and was when it was written whole.
    length: u64,
    whole: u64,
    pending: Vec<u8>,
    /// A change could not be written: the file is out of date.
    stale: bool,
}

impl GrantFile {
    /// Opens the files beside the lock; what the last gate in this boot and namespace has left, if any has.
    pub fn open(entry: &NamespaceLock, origin: Origin) -> io::Result<(Self, Option<SavedGrants>)> {
        let files = [entry.open_sibling("grants.0")?, entry.open_sibling("grants.1")?];
        Self::of(files, origin)
    }

    /// The same with these files, which are open for reading and writing.
    pub fn of(mut files: [File; 2], origin: Origin) -> io::Result<(Self, Option<SavedGrants>)> {
        let mut newest: Option<(u64, usize, Vec<u8>)> = None;
        for (place, file) in files.iter_mut().enumerate() {
            let bytes = read(file)?;
            if let Some(number) = number(&bytes, &origin)
                && newest.as_ref().is_none_or(|(other, ..)| *other < number)
            {
                newest = Some((number, place, bytes));
            }
        }
        let (number, current, entries) = newest.unwrap_or_default();
        // `number` has found a whole header, so `HEADER` bytes are there.
        let saved = (!entries.is_empty()).then(|| load(&entries[HEADER..]));
        let pending = Vec::new();
        // Until it is written whole nothing is appended: its end may be an incomplete entry.
        let stale = true;
        Ok((Self { files, current, number, origin, length: 0, whole: 0, pending, stale }, saved))
    }

    /// Nothing is granted, and nothing was.
    pub fn clear(&mut self) -> io::Result<()> {
        self.compact(std::iter::empty())
    }

    /// Keeps a change for [`GrantFile::append`].
    pub(crate) fn note(&mut self, entry: &SavedEvent) {
        if !self.stale {
            entry.write(&mut self.pending);
        }
    }

    /// Writes what was noted.
    pub(crate) fn append(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.files[self.current].write_all_at(&self.pending, self.length);
        // Also if writing has failed: then the file is stale, and is written whole next.
        self.length += u64::try_from(self.pending.len()).unwrap_or_default();
        self.pending.clear();
        self.stale |= written.is_err();
        written
    }

    /// Whether it must be written whole: it has grown, or is out of date.
    pub(crate) fn needs_compaction(&self) -> bool {
        self.stale || self.length > self.whole.saturating_mul(2).saturating_add(SLACK)
    }

    /// Writes it whole, with these entries and no others.
    pub(crate) fn compact(&mut self, entries: impl Iterator<Item = SavedEvent>) -> io::Result<()> {
        // Until all steps below are done: if one fails, nothing is appended before the next attempt.
        self.stale = true;
        self.pending.clear();
        let next = 1 - self.current;
        let mut bytes = vec![0; HEADER];
        entries.for_each(|entry| entry.write(&mut bytes));
        let file = &self.files[next];
        // First, so that no byte of the old content can follow a shorter new one.
        file.set_len(0)?;
        file.write_all_at(&bytes, 0)?;
        let number = self.number + 1;
        let header = [&MAGIC[..], &number.to_be_bytes(), &self.origin.encode()].concat();
        file.write_all_at(&header, 0)?;
        // It is not valid any more, and needs no memory.
        let emptied = self.files[self.current].set_len(0);
        (self.current, self.number, self.stale) = (next, number, false);
        self.length = u64::try_from(bytes.len()).unwrap_or_default();
        self.whole = self.length;
        emptied
    }
}

/// What a gate that begins takes over, as far as the kernel still has it.
#[derive(Clone, Debug, Default)]
pub struct SavedGrants {
    /// What was open. Some of it may have ended since.
    pub(crate) live: GrantTable,
    pub(crate) expired: ExpiredGrants,
    pub(crate) blocked: BlockedFlows,
    pub(crate) trial: Option<BootInstant>,
}

impl SavedGrants {
    /// The end of the trial that the earlier run was in, if it was in one.
    pub fn trial(&self) -> Option<BootInstant> {
        self.trial
    }

    fn apply(&mut self, entry: SavedEvent) {
        match entry {
            SavedEvent::Granted(entry) => self.live.keep(entry),
            SavedEvent::Ended(label, flow) => {
                self.expired.insert(label, flow, usize::MAX, usize::MAX);
            }
            SavedEvent::Closed(cert) => {
                self.live.remove_cert(&cert);
                self.expired.remove(&cert);
            }
            SavedEvent::ClosedFlow(cert, flow) => {
                self.live.remove_on_key(&flow, &cert);
                self.expired.remove_flow(&cert, flow);
            }
            SavedEvent::ClosedKey(grant_key) => {
                self.live.remove_key(&grant_key);
            }
            SavedEvent::Blocked(flow) => {
                self.blocked.add(&[flow], usize::MAX);
            }
            SavedEvent::Unblocked(flow) => self.blocked.remove(&[flow]),
            SavedEvent::Trial(until) => self.trial = Some(until),
        }
    }
}

fn read(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The number of a whole file of this origin.
fn number(bytes: &[u8], origin: &Origin) -> Option<u64> {
    let (magic, rest) = bytes.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let ours = magic == MAGIC && rest.starts_with(&origin.encode());
    ours.then(|| u64::from_be_bytes(*number))
}

fn load(mut entries: &[u8]) -> SavedGrants {
    let mut saved = SavedGrants::default();
    while let Some((entry, rest)) = SavedEvent::read(entries) {
        saved.apply(entry);
        entries = rest;
    }
    saved
}
