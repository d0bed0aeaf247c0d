//! The authority's folder: one writer at a time, and atomically replaced files.
//!
//! Owner and mode of the folder and its files. Errors contain the command that corrects them, as in ssh.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Uid, User, geteuid};
use sknock_storage::{
    Follow, PASSING, PendingFile, open_regular, publish_left, remove, sync_folder,
};

use crate::error::AuthorityError;

/// Other users, such as a web server, may open a published file by name (`crl.der`), but cannot list the
/// folder with the holders' names.
const FOLDER_MODE: u32 = 0o711;

/// Read access to a written file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// The owner, from the first byte on; an existing file's mode is ignored.
    Secret,
    /// The owner; an existing file keeps its group and mode, for example for backups.
    Private,
    /// All users; an existing file keeps its group and mode.
    Public,
}

/// A folder for published files.
#[derive(Clone, Debug)]
pub(crate) struct OutputFolder(PathBuf);

/// Excludes other writers of the folder until it is dropped.
pub(crate) struct Lock {
    _held: Flock<File>,
}

impl OutputFolder {
    /// Opens an existing folder that is ours and that no other user may write to.
    pub(crate) fn existing(path: &Path, wanted: &str) -> Result<Self, AuthorityError> {
        let found = fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => AuthorityError::NoAuthority { path: path.join(wanted) },
            _ => failed("access", path, source),
        })?;
        check_folder(path, &found)?;
        Ok(Self(path.to_owned()))
    }

    /// Opens the folder, or makes it. An existing one keeps its mode.
    pub(crate) fn create(path: &Path) -> Result<Self, AuthorityError> {
        let make = || match fs::create_dir(path) {
            // the umask must not reduce the mode, as with the files
            Ok(()) => fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
                // The folder's own name has to survive a power loss, too.
                .and_then(|()| sync_folder(&parent(path))),
            Err(_) if path.is_dir() => Ok(()),
            Err(error) => Err(error),
        };
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| make())
            .map_err(|source| failed("create the directory", path, source))?;
        Ok(Self(path.to_owned()))
    }

    /// The path of a file in this folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether the name exists in this folder, even as a dangling link.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).symlink_metadata().is_ok()
    }

    /// Waits for other writers: each change takes milliseconds.
    ///
    /// Locks the folder itself: a separate lock file could be removed or replaced.
    pub(crate) fn lock(&self) -> Result<Lock, AuthorityError> {
        let path = &self.0;
        let identity = |found: &Metadata| (found.dev(), found.ino());
        loop {
            let mut folder = File::open(path).map_err(|source| failed("open", path, source))?;
            let held = loop {
                match Flock::lock(folder, FlockArg::LockExclusive) {
                    Ok(held) => break held,
                    Err((back, nix::Error::EINTR)) => folder = back,
                    Err((_, errno)) => return Err(failed("lock", path, errno.into())),
                }
            };
            let look = || Ok((held.metadata()?, fs::metadata(path)?));
            let (locked, there) = look().map_err(|source| failed("access", path, source))?;
            // The path may have been replaced by another folder during the wait.
            if identity(&locked) == identity(&there) {
                check_folder(path, &there)?;
                return Ok(Lock { _held: held });
            }
        }
    }

    /// The content of a file that belongs to an authority.
    pub(crate) fn read(&self, name: &str, guarded: Guarded) -> Result<Vec<u8>, AuthorityError> {
        let path = self.file(name);
        self.read_if_any(name, guarded)?.ok_or(AuthorityError::NoAuthority { path })
    }

    /// The content of a file, if it exists. Refuses links, FIFOs and the like, files of other users, and
    /// files that other users may access.
    pub(crate) fn read_if_any(
        &self,
        name: &str,
        guarded: Guarded,
    ) -> Result<Option<Vec<u8>>, AuthorityError> {
        let path = self.file(name);
        let Some(found) = self.look(name)? else { return Ok(None) };
        check_file(&path, &found, guarded)?;
        let read = || {
            // The whole size: a vector that grows would leave copies of a key in freed memory.
            let mut content = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
            open_regular(&path, Follow::Never)?.read_to_end(&mut content)?;
            Ok(Some(content))
        };
        read().map_err(|source| failed("read", &path, source))
    }

    fn look(&self, name: &str) -> Result<Option<Metadata>, AuthorityError> {
        let path = self.file(name);
        match path.symlink_metadata() {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("access", &path, source)),
        }
    }

    /// Writes and syncs a file under a temporary name. If the final name exists, it must be a regular file.
    pub(crate) fn prepare(
        &self,
        name: &str,
        content: &[u8],
        access: Access,
    ) -> Result<PreparedFile, AuthorityError> {
        let path = self.file(name);
        let before = self.look(name)?;
        if let Some(before) = &before {
            check_file(&path, before, Guarded::Writing)?;
        }
        let write = || {
            // made with mode 0600, which is then extended regardless of the umask
            let mut draft = PendingFile::begin(&path, 0o600)?;
            match &before {
                Some(before) if access != Access::Secret => {
                    // chown(2) to a group that the user is not in fails, and so does the write: the group is
                    // kept, or nothing changes.
                    if draft.file().metadata()?.gid() != before.gid() {
                        fchown(draft.file(), None, Some(before.gid()))?;
                    }
                    draft.permit(before.mode() & 0o777)?;
                }
                None if access == Access::Public => draft.permit(0o644)?,
                _ => {}
            }
            draft.write_all(content)?;
            draft.prepare()
        };
        write().map(PreparedFile).map_err(|source| failed("write", &path, source))
    }

    /// Renames prepared files to their final names and syncs the folder.
    ///
    /// # Errors
    /// [`AuthorityError::NotSynced`] if all are renamed, but it is not known whether the names survive a
    /// power loss.
    pub(crate) fn publish(
        &self,
        files: impl IntoIterator<Item = PreparedFile>,
    ) -> Result<(), AuthorityError> {
        for file in files {
            let path = file.0.path().to_owned();
            file.0.publish().map_err(|source| failed("write", &path, source))?;
        }
        let doubtful =
            |source| AuthorityError::NotSynced { path: self.0.clone(), source: Box::new(source) };
        self.sync().map_err(doubtful)
    }

    /// Renames files that an earlier step or run has prepared and left, any number, and syncs the folder.
    /// Files that already have their names are no error.
    pub(crate) fn publish_left<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), AuthorityError> {
        for name in names {
            let path = self.file(name);
            publish_left(&path).map_err(|source| failed("write", &path, source))?;
        }
        self.sync()
    }

    /// Syncs the folder: its names then survive a power loss.
    pub(crate) fn sync(&self) -> Result<(), AuthorityError> {
        sync_folder(&self.0).map_err(|source| failed("write", &self.0, source))
    }

    /// Removes a file and syncs the folder; a missing file is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), AuthorityError> {
        let path = self.file(name);
        remove(&path).map_err(|source| failed("remove", &path, source))?;
        self.sync()
    }

    /// Removes temporary files of interrupted runs whose final names `ours` accepts.
    pub(crate) fn discard_left(&self, ours: impl Fn(&str) -> bool) -> Result<(), AuthorityError> {
        let entries = fs::read_dir(&self.0).map_err(|source| failed("list", &self.0, source))?;
        for entry in entries.flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && name.strip_suffix(PASSING).is_some_and(&ours) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// The folder that contains `path`.
fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

/// A complete, synced file without its final name; dropping it removes it.
pub(crate) struct PreparedFile(sknock_storage::Prepared);

impl PreparedFile {
    /// Keeps it for [`OutputFolder::publish_left`], possibly in another run.
    pub(crate) fn leave(self) {
        self.0.leave();
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> AuthorityError {
    AuthorityError::File { doing, path: path.to_owned(), source }
}

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
