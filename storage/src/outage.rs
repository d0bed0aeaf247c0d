//! Computes the states that a file system may keep of recorded changes after a power loss.
//!
//! Synced data remains. Of other data, every sector of 512 bytes is as after any of the writes since the
//! sync, or as before them; a new length remains or not; and so does each name that was made, changed or
//! removed since the folder was synced. All combinations are possible.

mod disk;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::RawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

use self::disk::Disk;
use crate::witness::{self, Step};

/// Up to this number, all combinations are tested; of more, a sample.
const EXHAUSTIVE: usize = 64;

/// The sample: this number of combinations in which one choice differs from all others, in each direction,
/// and this number of random ones.
const SAMPLES: usize = 16;

/// File contents by name.
pub type DiskState = BTreeMap<OsString, Vec<u8>>;

/// Syncs that are ignored, to check that a test would notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ignored {
    /// None.
    Nothing,
    /// Syncs of file contents.
    Files,
    /// Syncs of folders.
    Folders,
}

#[derive(Clone, Debug)]
enum DiskChange {
    Create(usize, OsString),
    Write(usize, u64, Vec<u8>),
    Length(usize, u64),
    Sync(usize),
    Rename(OsString, OsString),
    Remove(OsString),
    SyncFolder,
}

/// Records the changes in one folder, which must be empty at the beginning.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Rc<RefCell<Book>>);

#[derive(Debug, Default)]
struct Book {
    changes: Vec<DiskChange>,
    open: BTreeMap<RawFd, usize>,
    names: BTreeMap<OsString, usize>,
    files: usize,
}

impl Recorder {
    /// Records the changes of `work`.
    pub fn during<R>(&self, work: impl FnOnce() -> R) -> R {
        let book = Rc::clone(&self.0);
        witness::listen(move |step| book.borrow_mut().note(step), work)
    }

    /// The number of recorded changes.
    pub fn count(&self) -> usize {
        self.0.borrow().changes.len()
    }

    /// Whether the change after the first `count` is not a write.
    pub fn is_turn(&self, count: usize) -> bool {
        let book = self.0.borrow();
        !matches!(book.changes.get(count), Some(DiskChange::Write(..)))
    }

    /// The state after the first `count` changes if only the process ends.
    pub fn kill(&self, count: usize) -> DiskState {
        // The latest version of all: what the kernel has been given outlives the process.
        self.disk(count, Ignored::Nothing).state(|versions| versions - 1)
    }

    /// The possible states if the power fails after the first `count` changes.
    pub fn outages(&self, count: usize, ignored: Ignored) -> Vec<DiskState> {
        let disk = self.disk(count, ignored);
        combinations(&disk.choices(), count as u64 + 1)
            .into_iter()
            .map(|combination| {
                let mut next = combination.into_iter();
                disk.state(|_| next.next().unwrap_or(0))
            })
            .collect()
    }

    fn disk(&self, count: usize, ignored: Ignored) -> Disk {
        let mut disk = Disk::default();
        for change in &self.0.borrow().changes[..count] {
            let is_ignored = match change {
                DiskChange::Sync(_) => ignored == Ignored::Files,
                DiskChange::SyncFolder => ignored == Ignored::Folders,
                _ => false,
            };
            if !is_ignored {
                disk.apply(change);
            }
        }
        disk
    }
}

impl Book {
    fn note(&mut self, step: Step<'_>) {
        let name = |path: &Path| path.file_name().expect("a file has a name").to_owned();
        let file = |file: &RawFd| self.open[file];
        let change = match step {
            Step::Opened { path, file } => {
                let node = self.names.get(&name(path)).expect("it was made while this listened");
                self.open.insert(file, *node);
                return;
            }
            Step::Created { path, file } => {
                let node = self.files;
                self.files += 1;
                self.open.insert(file, node);
                self.names.insert(name(path), node);
                DiskChange::Create(node, name(path))
            }
            Step::Wrote { file: number, offset, bytes } => {
                DiskChange::Write(file(&number), offset, bytes.to_vec())
            }
            Step::Lengthened { file: number, length } => DiskChange::Length(file(&number), length),
            Step::Synced { file: number } => DiskChange::Sync(file(&number)),
            Step::Renamed { from, to } => {
                let node = self.names.remove(&name(from)).expect("it was made while this listened");
                self.names.insert(name(to), node);
                DiskChange::Rename(name(from), name(to))
            }
            Step::Removed { path } => {
                self.names.remove(&name(path));
                DiskChange::Remove(name(path))
            }
            Step::SyncedFolder { .. } => DiskChange::SyncFolder,
        };
        self.changes.push(change);
    }
}

/// All combinations of the versions, or a sample with the most different ones.
fn combinations(choices: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let mut product = Some(1_usize);
    for versions in choices {
        product = product.and_then(|all| all.checked_mul(*versions)).filter(|p| *p <= EXHAUSTIVE);
    }
    if let Some(all) = product {
        return (0..all)
            .map(|number| {
                let mut rest = number;
                choices
                    .iter()
                    .map(|versions| {
                        let chosen = rest % versions;
                        rest /= versions;
                        chosen
                    })
                    .collect()
            })
            .collect();
    }
    let oldest = vec![0; choices.len()];
    let latest: Vec<usize> = choices.iter().map(|versions| versions - 1).collect();
    let mut all = vec![oldest.clone(), latest.clone()];
    for place in (0..choices.len()).step_by(choices.len().div_ceil(SAMPLES)) {
        for (rest, one) in [(&oldest, &latest), (&latest, &oldest)] {
            let mut combination = rest.clone();
            combination[place] = one[place];
            all.push(combination);
        }
    }
    // Never 0, where xorshift stays.
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..SAMPLES {
        all.push(
            choices
                .iter()
                .map(|versions| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    usize::try_from(random >> 33).unwrap_or(0) % versions
                })
                .collect(),
        );
    }
    all
}

/// Replaces the content of a folder by these files, with access for their owner only.
pub fn restore(state: &DiskState, folder: &Path) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        std::fs::remove_file(entry?.path())?;
    }
    state.iter().try_for_each(|(name, content)| {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(folder.join(name))?.write_all(content)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::disk::SECTOR;
    use super::*;
    use crate::{PendingFile, Stored, sync_folder};

    fn recorded(work: impl FnOnce(&Path)) -> Recorder {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Recorder::default();
        recorder.during(|| work(folder.path()));
        recorder
    }

    /// The contents that a file may have at the end; `None` if it may be missing.
    fn possible(recorder: &Recorder, ignored: Ignored) -> BTreeSet<Option<Vec<u8>>> {
        let states = recorder.outages(recorder.count(), ignored);
        states.into_iter().map(|mut state| state.remove(&OsString::from("file"))).collect()
    }

    #[test]
    fn what_was_synced_is_there_and_nothing_else_is_certain() {
        let all = |bytes: u8| [bytes; SECTOR];
        let recorder = recorded(|folder| {
            let file = Stored::create(&folder.join("file"), 0o600).unwrap();
            file.write_at(&[all(1), all(1)].concat(), 0).unwrap();
            file.sync().unwrap();
            sync_folder(folder).unwrap();
            file.write_at(&[all(2), all(2)].concat(), 0).unwrap();
            file.write_at(&all(3), 0).unwrap();
        });
        let expected = [1, 2, 3].map(|first| [1, 2].map(|second| [all(first), all(second)]));
        let expected: BTreeSet<_> =
            expected.into_iter().flatten().map(|sectors| Some(sectors.concat())).collect();
        assert_eq!(possible(&recorder, Ignored::Nothing), expected);
        assert!(possible(&recorder, Ignored::Folders).contains(&None));
        assert!(possible(&recorder, Ignored::Files).contains(&Some(Vec::new())));
    }

    #[test]
    fn a_draft_is_the_old_file_or_the_new_one_if_syncs_are_carried_out() {
        let recorder = recorded(|folder| {
            for content in [&b"old"[..], b"new"] {
                let mut draft = PendingFile::begin(&folder.join("file"), 0o600).unwrap();
                draft.write_all(content).unwrap();
                draft.publish().unwrap();
            }
        });
        assert_eq!(possible(&recorder, Ignored::Nothing), [Some(b"new".to_vec())].into());
        for count in 0..recorder.count() {
            for mut state in recorder.outages(count, Ignored::Nothing) {
                let found = state.remove(&OsString::from("file"));
                assert!(found.is_none_or(|found| found == b"old" || found == b"new"));
            }
        }
        assert!(possible(&recorder, Ignored::Files).contains(&Some(Vec::new())));
        assert!(possible(&recorder, Ignored::Folders).contains(&Some(b"old".to_vec())));
    }
}
