//! The authority's folder: one writer at a time, and files that appear whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use sknock_storage::{Draft, sync_folder};

use crate::Error;

/// Held by whoever changes something.
const LOCK: &str = ".lock";

/// Others may open a published file whose name they know, such as a web server `crl.der`, but may
/// not list whose certificates lie here.
const FOLDER_MODE: u32 = 0o711;

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// Its owner, from the first byte on.
    Private,
    /// Everyone.
    Public,
}

/// A folder that files are published in.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// No other process changes the folder while this lives.
pub(crate) struct Lock {
    _held: Flock<File>,
}

impl Folder {
    /// An existing folder.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// A folder that is made if there is none. One that exists keeps its mode.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let make = || match fs::create_dir(path) {
            // whatever the umask, as with the files
            Ok(()) => fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE)),
            Err(_) if path.is_dir() => Ok(()),
            Err(error) => Err(error),
        };
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| make())
            .map_err(|source| failed("make the folder", path, source))?;
        Ok(Self::at(path))
    }

    /// The path of a file in here.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether something of that name is here, be it only a dangling link.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).symlink_metadata().is_ok()
    }

    /// Waits until nobody else changes the folder: each change takes milliseconds.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        let path = self.file(LOCK);
        let opened =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let mut file = opened.map_err(|source| failed("open", &path, source))?;
        loop {
            match Flock::lock(file, FlockArg::LockExclusive) {
                Ok(held) => return Ok(Lock { _held: held }),
                Err((back, nix::Error::EINTR)) => file = back,
                Err((_, errno)) => return Err(failed("lock", &path, errno.into())),
            }
        }
    }

    /// The content of a file that belongs to an authority.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.file(name);
        fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NoAuthority { path },
            _ => failed("read", &path, source),
        })
    }

    /// Writes a file to the disk under a passing name.
    pub(crate) fn prepare(
        &self,
        name: &str,
        content: &[u8],
        access: Access,
    ) -> Result<Prepared, Error> {
        let path = self.file(name);
        if path.is_symlink() {
            return Err(Error::Link { path });
        }
        let write = || {
            // made with mode 0600, which is then widened whatever the umask
            let mut draft = Draft::begin(&path, 0o600)?;
            if access == Access::Public {
                draft.permit(0o644)?;
            }
            draft.write_all(content)?;
            draft.prepare()
        };
        write().map(Prepared).map_err(|source| failed("write", &path, source))
    }

    /// Gives prepared files their names, one after the other, for good.
    pub(crate) fn publish(&self, files: impl IntoIterator<Item = Prepared>) -> Result<(), Error> {
        for file in files {
            let path = file.0.path().to_owned();
            file.0.publish().map_err(|source| failed("write", &path, source))?;
        }
        sync_folder(&self.0).map_err(|source| failed("write", &self.0, source))
    }
}

/// A file that is whole and on the disk, but has no name yet; dropped, it is gone.
pub(crate) struct Prepared(sknock_storage::Prepared);

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { doing, path: path.to_owned(), source }
}
