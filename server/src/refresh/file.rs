//! The saved lists: those in force, one after the other, as they were fetched (DER). One list of one
//! issuer is a plain CRL file. Nothing of it is believed here, and no whole list of it read into
//! memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sknock_protocol::RevocationList;
use sknock_storage::{Draft, Follow, open_regular};

/// What was saved, at most [`MOST`] bytes of it: a regular file, and no link to one.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path, Follow::Never)?;
    let length = file.metadata()?.len().min(MOST);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Several of the largest.
const MOST: u64 = 4 * super::LARGEST;

/// Puts `list` into the file, with those lists of it whose issuer `stays`. At every moment the file is
/// the old one or the new one, whole.
pub(crate) fn replace(
    path: &Path,
    list: &[u8],
    stays: impl Fn(&[u8; 32]) -> bool,
) -> io::Result<()> {
    let mut draft = Draft::begin(path, 0o644)?;
    // What is no regular file holds no lists, and nobody waits for it.
    if let Ok(former) = open_regular(path, Follow::Links) {
        copy(&former, &mut draft, stays)?;
    }
    draft.write_all(list)?;
    draft.publish()
}

/// Copies whole lists whose issuer `stays`, up to whatever is not a whole list.
fn copy(mut from: &File, to: &mut impl Write, stays: impl Fn(&[u8; 32]) -> bool) -> io::Result<()> {
    let mut left = from.metadata()?.len();
    let mut head = Vec::with_capacity(RevocationList::HEAD);
    loop {
        let place = from.stream_position()?;
        head.clear();
        from.take(RevocationList::HEAD as u64).read_to_end(&mut head)?;
        let Some(announced) = RevocationList::announced(&head) else { return Ok(()) };
        let length = announced.length as u64;
        let Some(rest) = left.checked_sub(length) else { return Ok(()) };
        if stays(&announced.issuer) {
            from.seek(SeekFrom::Start(place))?;
            pass(&mut from.take(length), to, &mut head)?;
        }
        left = rest;
        from.seek(SeekFrom::Start(place + length))?;
    }
}

/// Piece by piece: what the standard library does instead asks for calls that are not permitted here.
fn pass(from: &mut impl Read, to: &mut impl Write, piece: &mut Vec<u8>) -> io::Result<()> {
    loop {
        piece.clear();
        if from.take(RevocationList::HEAD as u64).read_to_end(piece)? == 0 {
            return Ok(());
        }
        to.write_all(piece)?;
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use sknock_storage::outage::{Ignored, Recorder};

    use super::*;

    /// The least that says whose list it is, and more that does not matter.
    fn list(issuer: u8, size: u8) -> Vec<u8> {
        let signed =
            [&[0x30, size + 8, 2, 1, 1, 0x30, 0, 0x30, 1, issuer][..], &vec![0; size.into()]];
        [&[0x30, size + 10][..], &signed.concat()].concat()
    }

    fn issuer(of: &[u8]) -> [u8; 32] {
        RevocationList::announced(of).unwrap().issuer
    }

    #[test]
    fn a_list_replaces_its_predecessor_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl.der");
        let (a, b) = (list(1, 5), list(2, 0));
        replace(&path, &a, |_| true).unwrap();
        replace(&path, &b, |by| *by != issuer(&b)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&a[..], &b].concat());
        let a = list(1, 100);
        replace(&path, &a, |by| *by != issuer(&a)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&b[..], &a].concat());
        replace(&path, &b, |_| false).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_power_loss_leaves_the_old_lists_or_the_new_ones() {
        let (folder, recorder) = (tempfile::tempdir().unwrap(), Recorder::default());
        let path = folder.path().join("crl.der");
        let lists = [list(1, 5), list(1, 100), list(1, 7)];
        let mut counts = Vec::new();
        for list in &lists {
            recorder.during(|| replace(&path, list, |_| false).unwrap());
            counts.push(recorder.count());
        }
        let wrong = |ignored| {
            (0..=recorder.count()).any(|count| {
                let done = counts.iter().filter(|done| **done <= count).count();
                // None before the first, and then that one or the next.
                let may_be = [done.checked_sub(1).map(|last| &lists[last]), lists.get(done)];
                recorder.outages(count, ignored).iter().any(|state| {
                    let found = state.get(OsStr::new("crl.der"));
                    !may_be.contains(&found)
                })
            })
        };
        assert!(!wrong(Ignored::Nothing));
        assert!(wrong(Ignored::Files) && wrong(Ignored::Folders), "it would be noticed");
    }

    #[test]
    fn what_is_torn_or_no_list_does_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl.der");
        let (a, b) = (list(1, 5), list(2, 0));
        for rest in [&a[..a.len() - 1], &a[..3], b"junk", b""] {
            std::fs::write(&path, [&a[..], rest].concat()).unwrap();
            replace(&path, &b, |_| true).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), [&a[..], &b].concat());
        }
    }

    #[test]
    fn a_long_list_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl.der");
        let rest = 5 * RevocationList::HEAD + 7;
        let length = |more: usize| u32::try_from(rest + more).unwrap().to_be_bytes()[1..].to_vec();
        let begin = |more| [&[0x30, 0x83][..], &length(more)].concat();
        let head = [begin(13), begin(8), list(1, 0)[4..].to_vec()].concat();
        let long = [head, vec![7; rest]].concat();
        let b = list(2, 0);
        std::fs::write(&path, [&b[..], &long].concat()).unwrap();
        replace(&path, &b, |by| *by != issuer(&b)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&long[..], &b].concat());
    }
}
