//! Owner and mode of the folder and its files. Errors contain the command that corrects them, as in ssh.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, User, geteuid};

use crate::error::AuthorityError;

/// Mode bits: write access for others.
const WRITE: u32 = 0o022;

/// Mode bits: any access for others.
const ANY: u32 = 0o077;

/// Access that other users must not have to a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Guarded {
    /// Writing.
    Writing,
    /// Reading and writing.
    Reading,
}

/// The folder must be ours: its owner could no longer replace files that root writes in it. Other users must
/// not have write access.
///
/// # Errors
/// [`AuthorityError::FolderOfOther`], [`AuthorityError::OpenToOthers`].
pub(crate) fn check_folder(path: &Path, found: &Metadata) -> Result<(), AuthorityError> {
    if found.uid() != geteuid().as_raw() {
        return Err(AuthorityError::FolderOfOther {
            path: path.to_owned(),
            owner: name(found.uid()),
        });
    }
    check_mode(path, found, Guarded::Writing)
}

/// A file must also be ours, and regular.
///
/// # Errors
/// [`AuthorityError::Link`], [`AuthorityError::NoFile`], [`AuthorityError::FileOfOther`], [`AuthorityError::OpenToOthers`].
pub(crate) fn check_file(
    path: &Path,
    found: &Metadata,
    guarded: Guarded,
) -> Result<(), AuthorityError> {
    let path_buf = || path.to_owned();
    let ours = geteuid().as_raw();
    if found.is_symlink() {
        Err(AuthorityError::Link { path: path_buf() })
    } else if !found.is_file() {
        Err(AuthorityError::NoFile { path: path_buf() })
    } else if found.uid() != ours {
        let (owner, ours) = (found.uid(), name(ours));
        Err(AuthorityError::FileOfOther { path: path_buf(), owner: name(owner), ours })
    } else {
        check_mode(path, found, guarded)
    }
}

fn check_mode(path: &Path, found: &Metadata, guarded: Guarded) -> Result<(), AuthorityError> {
    let (bits, what, remedy) = match guarded {
        Guarded::Writing => (WRITE, "write to it", "go-w"),
        Guarded::Reading => (ANY, "read it or write to it", "go-rwx"),
    };
    if found.mode() & bits == 0 {
        return Ok(());
    }
    let mode = found.mode() & 0o7777;
    Err(AuthorityError::OpenToOthers { path: path.to_owned(), mode, what, remedy })
}

/// A user's name, or `#` and the number; sudo accepts both.
fn name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("'#{uid}'"), |user| user.name)
}
