//! The file of saved CRLs: those in force, concatenated, as they were fetched (DER). With one CRL it is a
//! plain CRL file. Nothing is verified here, and whole CRLs are read into memory only if several issuers have
//! one name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sknock_protocol::{IssuerId, RevocationList, TrustStore};
use sknock_storage::{Follow, PendingFile, open_regular};

use super::MAX_LIST;

/// Reads the file, at most [`MOST`] bytes: a regular file, not a link.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path, Follow::Never)?;
    let length = file.metadata()?.len().min(MOST);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Several CRLs of maximum size.
pub(crate) const MOST: u64 = 4 * MAX_LIST;

/// Selects the CRLs that are kept when another is added.
pub(crate) trait Stays {
    /// Decides by the issuer's name (SHA-256). `None`: the name is not enough.
    fn by_name(&self, name: &[u8; 32]) -> Option<bool>;
    /// Decides by the whole CRL.
    fn by_signature(&self, list: &[u8]) -> bool;
}

/// A CRL that replaces the former one of its issuer only, not that of another issuer with the same name.
pub(crate) struct Successor<'a> {
    /// The issuer of the new CRL.
    pub(crate) issuer: &'a IssuerId,
    /// The authorities whose CRLs are kept.
    pub(crate) trust_store: &'a TrustStore,
}

/// Keeping an unverified CRL is harmless: the next start verifies it.
impl Stays for Successor<'_> {
    fn by_name(&self, name: &[u8; 32]) -> Option<bool> {
        let mut namesakes = self.trust_store.issuers().iter().filter(|one| one.id().name == *name);
        if *name != self.issuer.name {
            return Some(namesakes.next().is_some());
        }
        let is_alone = namesakes.all(|one| one.id() == self.issuer);
        is_alone.then_some(false)
    }

    fn by_signature(&self, list: &[u8]) -> bool {
        RevocationList::signer(list, self.trust_store).is_ok_and(|signer| signer != *self.issuer)
    }
}

/// Writes `list` to the file, with the CRLs that are kept. The file is replaced atomically.
pub(crate) fn replace(path: &Path, list: &[u8], stays: &impl Stays) -> io::Result<()> {
    let mut draft = PendingFile::begin(path, 0o644)?;
    // Another kind of file contains no CRLs, and opening it must not block.
    if let Ok(former) = open_regular(path, Follow::Links) {
        copy(&former, &mut draft, stays)?;
    }
    draft.write_all(list)?;
    draft.publish()
}

/// Copies the kept CRLs, up to the first incomplete one.
fn copy(mut from: &File, to: &mut impl Write, stays: &impl Stays) -> io::Result<()> {
    let mut left = from.metadata()?.len();
    let mut head = Vec::with_capacity(RevocationList::HEAD);
    loop {
        let place = from.stream_position()?;
        head.clear();
        from.take(RevocationList::HEAD as u64).read_to_end(&mut head)?;
        let Some(announced) = RevocationList::announced(&head) else { return Ok(()) };
        let length = announced.length as u64;
        let Some(rest) = left.checked_sub(length) else { return Ok(()) };
        let known = stays.by_name(&announced.issuer_name);
        if known != Some(false) {
            from.seek(SeekFrom::Start(place))?;
        }
        match known {
            Some(true) => pass(&mut from.take(length), to, &mut head)?,
            Some(false) => {}
            None if length > MAX_LIST => {}
            None => {
                let mut list = Vec::new();
                from.take(length).read_to_end(&mut list)?;
                if stays.by_signature(&list) {
                    to.write_all(&list)?;
                }
            }
        }
        left = rest;
        from.seek(SeekFrom::Start(place + length))?;
    }
}

/// A loop of reads and writes: `io::copy` uses system calls that the seccomp filter refuses.
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

    /// The minimum of a CRL with an issuer, and `size` as filler.
    fn list(issuer: u8, size: u8) -> Vec<u8> {
        let signed =
            [&[0x30, size + 8, 2, 1, 1, 0x30, 0, 0x30, 1, issuer][..], &vec![0; size.into()]];
        [&[0x30, size + 10][..], &signed.concat()].concat()
    }

    /// All except those of this name.
    struct OtherIssuers(Option<[u8; 32]>);

    impl Stays for OtherIssuers {
        fn by_name(&self, name: &[u8; 32]) -> Option<bool> {
            Some(self.0.as_ref() != Some(name))
        }

        fn by_signature(&self, _: &[u8]) -> bool {
            unreachable!("the name is enough")
        }
    }

    fn others(of: &[u8]) -> OtherIssuers {
        OtherIssuers(Some(RevocationList::announced(of).unwrap().issuer_name))
    }

    /// One of several CRLs with the same name.
    struct SignedList(Vec<u8>);

    impl Stays for SignedList {
        fn by_name(&self, _: &[u8; 32]) -> Option<bool> {
            None
        }

        fn by_signature(&self, list: &[u8]) -> bool {
            list == self.0
        }
    }

    #[test]
    fn if_issuers_share_a_name_the_whole_crl_is_examined() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl.der");
        let (mine, twins, new) = (list(1, 5), list(1, 6), list(1, 7));
        std::fs::write(&path, [&mine[..], &twins].concat()).unwrap();
        replace(&path, &new, &SignedList(twins.clone())).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&twins[..], &new].concat());
    }

    #[test]
    fn a_crl_replaces_only_its_predecessor_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl.der");
        let (a, b) = (list(1, 5), list(2, 0));
        replace(&path, &a, &OtherIssuers(None)).unwrap();
        replace(&path, &b, &others(&b)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&a[..], &b].concat());
        let a = list(1, 100);
        replace(&path, &a, &others(&a)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&b[..], &a].concat());
        replace(&path, &a, &others(&a)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&b[..], &a].concat());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_power_loss_leaves_the_old_crls_or_the_new_ones() {
        let (folder, recorder) = (tempfile::tempdir().unwrap(), Recorder::default());
        let path = folder.path().join("crl.der");
        let lists = [list(1, 5), list(1, 100), list(1, 7)];
        let mut counts = Vec::new();
        for list in &lists {
            recorder.during(|| replace(&path, list, &others(list)).unwrap());
            counts.push(recorder.count());
        }
        let wrong = |ignored| {
            (0..=recorder.count()).any(|count| {
                let done = counts.iter().filter(|done| **done <= count).count();
                // Before the first replacement there is no file, later that CRL or the next.
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
    fn truncated_crls_and_junk_are_removed_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl.der");
        let (a, b) = (list(1, 5), list(2, 0));
        for rest in [&a[..a.len() - 1], &a[..3], b"junk", b""] {
            std::fs::write(&path, [&a[..], rest].concat()).unwrap();
            replace(&path, &b, &OtherIssuers(None)).unwrap();
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
        replace(&path, &b, &others(&b)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&long[..], &b].concat());
    }
}
