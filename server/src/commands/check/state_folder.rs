//! The state directory, as a start would find it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat, geteuid};

use crate::supervisor::files::holds_foreign_files;
use crate::supervisor::{Account, acting_as};

/// A folder that the network process writes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StateFolder {
    /// It is not there; `sknockd run` makes it.
    Missing,
    /// It is not there, and `sknockd run` cannot make it.
    NotCreatable {
        /// The nearest folder above it that is there.
        above: PathBuf,
        /// Why.
        error: String,
    },
    /// Something else has its name, or that of a folder above it. A link to a folder, too.
    NotAFolder,
    /// It cannot be looked at, such as below a folder that is closed to us.
    Unseen {
        /// Why.
        error: String,
    },
    /// It is there.
    Present {
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
        /// Whether it holds files that are not from sknockd.
        foreign: bool,
    },
}

impl StateFolder {
    /// Looks as `own_folder` of a start does, which refuses a link to a folder. `account` is that of the network
    /// process.
    pub(super) fn look(path: &Path, account: Option<Account>) -> Self {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => Self::Present {
                owner: metadata.uid(),
                mode: metadata.mode(),
                // Who is not root may be kept from looking.
                foreign: holds_foreign_files(path).unwrap_or(false),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::missing(path, account),
            Err(error) if error.kind() != io::ErrorKind::NotADirectory => {
                Self::Unseen { error: error.to_string() }
            }
            Ok(_) | Err(_) => Self::NotAFolder,
        }
    }

    fn missing(path: &Path, account: Option<Account>) -> Self {
        let is_there = |folder: &&Path| folder.symlink_metadata().is_ok();
        let Some(above) = path.ancestors().skip(1).find(is_there) else { return Self::Missing };
        // A link that leads nowhere, too.
        let Some(metadata) = fs::metadata(above).ok().filter(Metadata::is_dir) else {
            return Self::NotAFolder;
        };
        // Missing parents are made, as root's, with all of root's rights: before the marks beside `path`.
        let account = account.filter(|_| path.parent() == Some(above));
        match creates_in(above, &metadata, account) {
            Ok(()) => Self::Missing,
            Err(error) => Self::NotCreatable { above: above.to_owned(), error: error.to_string() },
        }
    }
}

/// Whether a start could make something in this folder.
fn creates_in(folder: &Path, metadata: &Metadata, account: Option<Account>) -> io::Result<()> {
    // A read-only file system, or an immutable folder: also for root.
    match writes_to(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !geteuid().is_root() => {
            // Says nothing about a start as root, or as the unit's user.
            return Ok(());
        }
        tried => tried?,
    }
    // A start gives up the capability that lets root write everywhere, and then tries as the account.
    let root = metadata.uid() == 0 && metadata.mode() & 0o300 == 0o300;
    let all = metadata.mode() & 0o003 == 0o003;
    match account {
        Some(account) if !(root || all) => acting_as(account, || writes_to(folder)),
        _ => Ok(()),
    }
}

fn writes_to(folder: &Path) -> io::Result<()> {
    let access = AccessFlags::W_OK | AccessFlags::X_OK;
    Ok(faccessat(AT_FDCWD, folder, access, AtFlags::AT_EACCESS)?)
}
