//! A file of marks in two slots, written alternately: after an interruption, one of them is complete. It
//! stays open, because later there is no privilege to open it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};
use sknock_protocol::CrlMark;

use crate::crl::mark_record::{self, IssuerDigest, MarkRecord};
use crate::supervisor::files::make_above;

/// ```text
/// u64 sequence number | u32 count | count entries | u32 CRC-32 of all these
/// ```
/// Numbers are little-endian.
const SLOT: usize = 16 << 10;

/// The sequence number and the count.
const HEAD: usize = 12;

/// An open file.
#[derive(Debug)]
pub(super) struct MarkStore {
    path: PathBuf,
    file: File,
    writing: u64,
    /// Whether its folder was not there before.
    is_new: bool,
}

/// The marks in a file.
pub(super) type SavedMarks = Vec<(IssuerDigest, CrlMark)>;

impl MarkStore {
    /// Opens and reads the file; makes it, and its folder, if missing. Both may be `user`'s, who runs the unit.
    pub(super) fn open(path: &Path, user: Option<Uid>) -> io::Result<(Self, SavedMarks)> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let (keeper, is_new) = prepare(folder, user)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // The folder may be the unit's user's: no link is followed, and open(2) does not wait at a FIFO.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        let found = file.metadata()?;
        // A second name: fchown below would give away, and the marks overwrite, a file of another folder.
        if !found.is_file() || found.nlink() != 1 {
            return Err(io::Error::other(
                "it is not a regular file, or has a second name (hard \
                                         link)",
            ));
        }
        if found.uid() != keeper.uid() {
            fchown(&file, Some(keeper.uid()), Some(keeper.gid()))?;
        }
        make_room(&file, found.len())?;
        let (writing, kept) = newest(&file);
        Ok((Self { path: path.to_owned(), file, writing, is_new }, kept))
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it and its folder, if that was not there before. What cannot be removed stays.
    pub(super) fn remove_new(self) {
        if let Some(folder) = self.path.parent().filter(|_| self.is_new) {
            let _ = fs::remove_file(&self.path).and_then(|()| fs::remove_dir(folder));
        }
    }

    /// Writes all of them over the older slot, and waits until they are on the disk.
    pub(super) fn write(&mut self, entries: &[MarkRecord]) -> io::Result<()> {
        let writing = self.writing + 1;
        let count = u32::try_from(entries.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes =
            [&writing.to_le_bytes()[..], &count.to_le_bytes(), &entries.concat()].concat();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        if bytes.len() > SLOT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.file.write_all_at(&bytes, writing % 2 * SLOT as u64)?;
        self.file.sync_all()?;
        self.writing = writing;
        Ok(())
    }
}

/// Allocates the blocks for both slots at the beginning, so that a full disk cannot lose a mark later: an
/// older CRL would be accepted after a restart.
fn make_room(file: &File, length: u64) -> io::Result<()> {
    let missing = usize::try_from((2 * SLOT as u64).saturating_sub(length)).unwrap_or(2 * SLOT);
    if missing > 0 {
        // A slot of zeros is invalid.
        file.write_all_at(&vec![0; missing], length)?;
        file.sync_all()?;
    }
    Ok(())
}

/// The folder is root's, ours or `user`'s, and nobody else may write to it: who can write older marks can
/// have an older CRL accepted. Whether it was not there before.
fn prepare(folder: &Path, user: Option<Uid>) -> io::Result<(fs::Metadata, bool)> {
    make_above(folder)?;
    let is_new = match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        made => made.map(|()| true)?,
    };
    Ok((trusted(folder, user)?, is_new))
}

fn trusted(folder: &Path, user: Option<Uid>) -> io::Result<fs::Metadata> {
    let found = fs::symlink_metadata(folder)?;
    let owners = [Some(Uid::from_raw(0)), Some(geteuid()), user];
    let ours = owners.contains(&Some(Uid::from_raw(found.uid())));
    if found.is_dir() && ours && found.mode() & 0o022 == 0 {
        return Ok(found);
    }
    Err(io::Error::other("its directory must be writable only by root or by the user of the unit"))
}

/// Reads the file without changing it. Marks of others are not read: they could be too high for any CRL.
pub(super) fn read(path: &Path, user: Option<Uid>) -> io::Result<SavedMarks> {
    trusted(path.parent().ok_or(io::ErrorKind::InvalidInput)?, user)?;
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    Ok(newest(&file).1)
}

/// The latest complete slot, if any.
fn newest(file: &File) -> (u64, SavedMarks) {
    let slots = [0, 1].map(|place| slot(file, place));
    slots.into_iter().flatten().max_by_key(|(writing, _)| *writing).unwrap_or_default()
}

/// The content of this slot, if it is complete.
fn slot(file: &File, place: u64) -> Option<(u64, SavedMarks)> {
    let mut bytes = Vec::with_capacity(SLOT);
    let mut piece = [0; 4096];
    while bytes.len() < SLOT {
        let at = place * SLOT as u64 + bytes.len() as u64;
        match file.read_at(&mut piece, at) {
            Ok(0) | Err(_) => break,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
        }
    }
    bytes.truncate(SLOT);
    let (writing, rest) = bytes.split_first_chunk()?;
    let (count, _) = rest.split_first_chunk()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let end = count.checked_mul(size_of::<MarkRecord>())?.checked_add(HEAD)?;
    let (content, rest) = bytes.split_at_checked(end)?;
    let (sum, _) = rest.split_first_chunk()?;
    if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
        return None;
    }
    let entries = content.get(HEAD..)?.chunks_exact(size_of::<MarkRecord>());
    Some((u64::from_le_bytes(*writing), entries.filter_map(mark_record::read).collect()))
}

#[cfg(test)]
mod tests {
    use sknock_protocol::Timestamp;

    use super::*;

    fn entries(count: u8, made: u64) -> Vec<MarkRecord> {
        let mark = CrlMark::new(Timestamp::from_secs(made), [1; CrlMark::NUMBER]);
        (0..count).map(|issuer| mark_record::entry(&[issuer; 32], &mark)).collect()
    }

    fn kept(path: &Path) -> Vec<MarkRecord> {
        let (_, kept) = MarkStore::open(path, None).unwrap();
        kept.iter().map(|(issuer, mark)| mark_record::entry(issuer, mark)).collect()
    }

    #[test]
    fn all_that_will_ever_be_written_has_its_room_from_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks").join("marks");
        let (mut store, kept) = MarkStore::open(&path, None).unwrap();
        assert!(kept.is_empty());
        let taken = || fs::metadata(&path).unwrap().blocks() * 512;
        let before = taken();
        assert!(before >= 2 * SLOT as u64, "{before}");
        for made in 0..4 {
            store.write(&entries(200, made)).unwrap();
        }
        assert_eq!(taken(), before);
    }

    #[test]
    fn an_interrupted_write_leaves_the_former_or_the_new_marks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks").join("marks");
        let (mut store, none) = MarkStore::open(&path, None).unwrap();
        assert!(none.is_empty());
        store.write(&entries(3, 100)).unwrap();
        let before = fs::read(&path).unwrap();
        store.write(&entries(4, 200)).unwrap();
        let after = fs::read(&path).unwrap();
        assert_eq!(kept(&path), entries(4, 200));
        let longest = after.len();
        // The second write went to the first slot.
        for cut in 0..=HEAD + 4 * size_of::<MarkRecord>() + 4 {
            let old = |place| before.get(place).copied().unwrap_or(0);
            let torn: Vec<u8> = (0..longest)
                .map(|place| if place < cut { after[place] } else { old(place) })
                .collect();
            fs::write(&path, torn).unwrap();
            let found = kept(&path);
            assert!(found == entries(3, 100) || found == entries(4, 200), "cut at {cut}");
        }
    }

    #[test]
    fn the_most_there_may_be_fit_and_any_bytes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks");
        let (mut store, _) = MarkStore::open(&path, None).unwrap();
        let most: Vec<MarkRecord> = entries(255, 1).into_iter().chain(entries(1, 2)).collect();
        store.write(&most).unwrap();
        assert_eq!(kept(&path).len(), 256);
        for junk in [vec![], vec![0xff; 3], vec![0xff; 2 * SLOT], vec![0; 2 * SLOT]] {
            fs::write(&path, junk).unwrap();
            assert!(kept(&path).is_empty());
        }
    }

    /// Made by a local user where the directory above `stateDir` is everybody's.
    #[test]
    fn marks_of_another_user_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-marks").join("marks");
        drop(MarkStore::open(&path, None).unwrap());
        let (unit, stranger) = (Some(Uid::from_raw(64_001)), Some(64_002));
        std::os::unix::fs::chown(path.parent().unwrap(), stranger, stranger)
            .expect("these tests run as root");
        assert!(MarkStore::open(&path, None).is_err());
        assert!(MarkStore::open(&path, unit).is_err());
        assert!(read(&path, unit).is_err());
        assert!(MarkStore::open(&path, Some(Uid::from_raw(64_002))).is_ok());
    }

    #[test]
    fn a_file_that_leads_elsewhere_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("marks"), folder.path().join("other"));
        fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(MarkStore::open(&path, None).is_err());
        fs::remove_file(&path).unwrap();
        fs::hard_link(&other, &path).unwrap();
        assert!(MarkStore::open(&path, None).is_err());
    }
}
