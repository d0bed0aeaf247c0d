//! A simulated disk after some changes: its certain state and its possible states.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::{DiskChange, DiskState};

/// The unit that a disk writes atomically.
pub(super) const SECTOR: usize = 512;

/// The certain and the possible state of a disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    files: Vec<DiskFile>,
    names: BTreeMap<OsString, usize>,
    renamings: Vec<Renaming>,
    /// The names as processes see them.
    seen: BTreeMap<OsString, usize>,
}

/// A change of names that may be lost.
#[derive(Debug)]
struct Renaming {
    gone: Option<OsString>,
    given: Option<(OsString, usize)>,
}

/// A file: its synced content, and its content after each write since, in sectors.
#[derive(Debug, Default)]
struct DiskFile {
    synced: Vec<u8>,
    sectors: BTreeMap<usize, Vec<Vec<u8>>>,
    length: u64,
}

impl Disk {
    /// Applies a change.
    pub(super) fn apply(&mut self, change: &DiskChange) {
        match change {
            DiskChange::Create(node, name) => {
                assert_eq!(*node, self.files.len());
                self.files.push(DiskFile::default());
                self.name(None, Some((name.clone(), *node)));
            }
            DiskChange::Write(node, offset, bytes) => self.files[*node].write(*offset, bytes),
            DiskChange::Length(node, length) => self.files[*node].length = *length,
            DiskChange::Sync(node) => self.files[*node].sync(),
            DiskChange::Rename(from, to) => {
                let node = self.seen[from];
                self.name(Some(from.clone()), Some((to.clone(), node)));
            }
            DiskChange::Remove(name) => self.name(Some(name.clone()), None),
            DiskChange::SyncFolder => {
                self.renamings.clear();
                self.names = self.seen.clone();
            }
        }
    }

    fn name(&mut self, gone: Option<OsString>, given: Option<(OsString, usize)>) {
        let renaming = Renaming { gone, given };
        renaming.apply(&mut self.seen);
        self.renamings.push(renaming);
    }

    /// The number of versions of each unsynced item.
    pub(super) fn choices(&self) -> Vec<usize> {
        let mut choices = Vec::new();
        self.state(|versions| {
            choices.push(versions);
            0
        });
        choices
    }

    /// One possible state: `choose` gets the number of versions, ordered from the oldest to the latest.
    pub(super) fn state(&self, mut choose: impl FnMut(usize) -> usize) -> DiskState {
        let mut names = self.names.clone();
        for renaming in &self.renamings {
            if choose(2) == 1 {
                renaming.apply(&mut names);
            }
        }
        let contents: Vec<Vec<u8>> =
            self.files.iter().map(|file| file.version(&mut choose)).collect();
        names.into_iter().map(|(name, node)| (name, contents[node].clone())).collect()
    }
}

impl Renaming {
    fn apply(&self, names: &mut BTreeMap<OsString, usize>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((name, node)) = &self.given {
            names.insert(name.clone(), *node);
        }
    }
}

impl DiskFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).expect("a small file");
        let end = offset + bytes.len();
        self.length = self.length.max(end as u64);
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let versions = self.sectors.entry(sector).or_default();
            let mut content =
                versions.last().cloned().unwrap_or_else(|| part(&self.synced, sector));
            let start = sector * SECTOR;
            let (from, to) = (offset.max(start), end.min(start + SECTOR));
            content[from - start..to - start].copy_from_slice(&bytes[from - offset..to - offset]);
            versions.push(content);
        }
    }

    fn sync(&mut self) {
        self.synced = self.version(&mut |versions| versions - 1);
        self.sectors.clear();
    }

    fn version(&self, choose: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
        let latest = usize::try_from(self.length).expect("a small file");
        let mut content = self.synced.clone();
        if latest != content.len() && choose(2) == 1 {
            content.resize(latest, 0);
        }
        for (sector, versions) in &self.sectors {
            let chosen = choose(versions.len() + 1);
            let start = sector * SECTOR;
            if chosen > 0 && start < content.len() {
                let end = content.len().min(start + SECTOR);
                content[start..end].copy_from_slice(&versions[chosen - 1][..end - start]);
            }
        }
        content
    }
}

fn part(content: &[u8], sector: usize) -> Vec<u8> {
    let start = content.len().min(sector * SECTOR);
    let end = content.len().min(start + SECTOR);
    let mut part = content[start..end].to_vec();
    part.resize(SECTOR, 0);
    part
}
