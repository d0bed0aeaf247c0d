//! Renames objects that occupy the path of one of our files: a user with write access to the folder may have
//! put anything there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::stored::Stored;

/// An object that was renamed.
#[derive(Debug)]
pub struct MovedAside {
    /// Why it could not be used.
    pub why: String,
    /// Its new path.
    pub renamed: PathBuf,
}

/// Maximum number of names that are tried; if none is free, the start fails.
const NAMES: u32 = 100_000;

/// Renames the object at `path` to `NAME.unusable-N` unless it is a regular file of at most `largest` bytes.
/// With an `owner`, the file must also belong to that user and be readable and writable.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn set_aside(path: &Path, owner: Option<u32>, largest: u64) -> io::Result<Option<MovedAside>> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let why = if !found.is_file() {
        "it is not a regular file".to_owned()
    } else if found.len() > largest {
        format!("it has {} bytes, more than {largest}", found.len())
    } else if owner.is_some_and(|owner| found.uid() != owner) {
        format!("it is owned by user {}", found.uid())
    } else if let Some(Err(error)) = owner.map(|_| Stored::open(path)) {
        error.to_string()
    } else {
        return Ok(None);
    };
    let renamed = free(path)?;
    // rename(2) takes each kind of object, and does not follow a link.
    fs::rename(path, &renamed)?;
    Ok(Some(MovedAside { why, renamed }))
}

/// A name that does not exist.
fn free(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let candidates = (1..=NAMES).map(|number| {
        let mut name = name.to_owned();
        name.push(format!(".unusable-{number}"));
        path.with_file_name(name)
    });
    let is_free = |path: &PathBuf| {
        path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    candidates.into_iter().find(is_free).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn an_obstacle_is_renamed_and_a_usable_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.0");
        let owner = folder.path().metadata().unwrap().uid();
        let aside = || set_aside(&path, Some(owner), 100).unwrap();
        assert!(aside().is_none(), "nothing is there");
        fs::create_dir(&path).unwrap();
        assert_eq!(aside().unwrap().renamed, folder.path().join("journal.0.unusable-1"));
        symlink("/etc/shadow", &path).unwrap();
        assert_eq!(aside().unwrap().renamed, folder.path().join("journal.0.unusable-2"));
        symlink("/nowhere", &path).unwrap();
        assert!(aside().is_some(), "a link that leads nowhere");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(aside().is_some(), "a FIFO");
        fs::write(&path, [0; 101]).unwrap();
        assert!(aside().is_some(), "a file that is too long");
        fs::write(&path, [0; 100]).unwrap();
        assert!(set_aside(&path, None, 100).unwrap().is_none(), "whose it is does not matter");
        assert!(set_aside(&path, Some(owner + 1), 100).unwrap().is_some(), "somebody else's");
        fs::write(&path, [0; 100]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(aside().is_none(), "a good file");
    }
}
