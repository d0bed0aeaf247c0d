//! `crlFile`: the lists in force, one after the other, as they were fetched (DER). One list of one
//! issuer is a plain CRL file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sknock_protocol::RevocationList;

/// Puts `list` into the file, with those lists of it that are `of_another` issuer. At every moment
/// the file is the old one or the new one, whole.
pub(crate) fn replace(
    path: &Path,
    list: &[u8],
    of_another: impl Fn(&[u8]) -> bool,
) -> io::Result<()> {
    let former = std::fs::read(path).unwrap_or_default();
    let others: Vec<&[u8]> = RevocationList::split(&former).filter(|der| of_another(der)).collect();
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let new = folder.join(name);
    // A leftover of a crash is in our way; a link that somebody put there is not followed.
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    others.into_iter().chain([list]).try_for_each(|der| file.write_all(der))?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &[u8] = &[0x30, 3, 2, 1, 1];
    const B: &[u8] = &[0x30, 3, 2, 1, 2];

    #[test]
    fn a_list_replaces_its_predecessor_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl.der");
        replace(&path, A, |_| true).unwrap();
        replace(&path, B, |der| der == A).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [A, B].concat());
        replace(&path, B, |der| der != A && der != B).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), B);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
