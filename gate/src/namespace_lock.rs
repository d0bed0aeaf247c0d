//! One gate for each network namespace: a second one would replace the first one's table. Other commands find
//! the running server by the lock, and by the files beside it.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

use crate::origin::Origin;

/// This network namespace is ours, until this is dropped or the process ends. Programs that are
/// executed do not inherit it.
#[derive(Debug)]
pub struct NamespaceLock {
    _lock: Flock<File>,
    path: PathBuf,
    /// The folder, and whose it is.
    dir_owner: Metadata,
}

impl NamespaceLock {
    /// Where the locks are by default.
    pub const DIRECTORY: &'static str = "/run/sknock";

    /// Locks the calling thread's network namespace by a file in `directory`, which is made if it is
    /// not there (mode 0755) and must be root's or ours, and nobody else's to write. Root also takes
    /// one of another user: a unit's own user has it, and root must be able to undo what the unit did.
    pub fn acquire(directory: &Path) -> Result<Self, NamespaceLockError> {
        let dir_owner = prepare(directory)?;
        let path = lock(directory)?;
        let file = open(&path, &dir_owner).map_err(failed(&path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                write_pid(&mut lock).map_err(failed(&path))?;
                Ok(Self { _lock: lock, path, dir_owner })
            }
            Err((file, Errno::EWOULDBLOCK)) => {
                Err(NamespaceLockError::Taken { owner: read_pid(file), path })
            }
            Err((_, errno)) => Err(NamespaceLockError::Io { path, error: errno.into() }),
        }
    }

    /// The process that has locked the calling thread's network namespace by a file in `directory`,
    /// if one has. It does not try the lock, which could make another process fail to get it.
    pub fn owner_pid(directory: &Path) -> Result<Option<u32>, NamespaceLockError> {
        let path = lock(directory)?;
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(NamespaceLockError::Io { path, error }),
        };
        // Of the file that is open, not of the path, which may be another file by now.
        let inode = file.metadata().map_err(failed(&path))?.ino();
        let held = Path::new("/proc/locks");
        let held = fs::read_to_string(held).map_err(failed(held))?;
        // Both must agree: the number in the file, and the kernel's list of locks.
        Ok(read_pid(file).filter(|&pid| held.lines().any(|line| holds(line, pid, inode))))
    }

    /// Which boot and network namespace files beside this lock belong to.
    pub fn origin(&self) -> io::Result<Origin> {
        Origin::here(self.path.parent().unwrap_or(Path::new("/")))
    }

    /// The path of a file that goes with the lock of the calling thread's network namespace, whichever
    /// process has it.
    pub fn path(directory: &Path, extension: &str) -> Result<PathBuf, NamespaceLockError> {
        Ok(lock(directory)?.with_extension(extension))
    }

    /// Opens a file that goes with the lock, for reading and writing, and makes it if it is not there.
    /// Like the lock it belongs to the owner of the folder.
    pub fn open_sibling(&self, extension: &str) -> io::Result<File> {
        open(&self.sibling(extension), &self.dir_owner)
    }

    /// A path for a file that goes with the lock, in the same folder.
    pub fn sibling(&self, extension: &str) -> PathBuf {
        self.path.with_extension(extension)
    }
}

/// Opened files are close-on-exec in Rust; `O_NOFOLLOW` so that a link leads nowhere.
fn open(path: &Path, dir_owner: &Metadata) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Not truncated: until the lock is ours, the file names the process that has it.
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    chown_to_dir_owner(options.custom_flags(libc::O_NOFOLLOW).open(path)?, dir_owner)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> NamespaceLockError + use<> {
    let path = path.to_owned();
    move |error| NamespaceLockError::Io { path, error }
}

/// The lock of the calling thread's network namespace.
fn lock(directory: &Path) -> Result<PathBuf, NamespaceLockError> {
    let namespace = Path::new("/proc/thread-self/ns/net");
    let inode = fs::metadata(namespace).map_err(failed(namespace))?.ino();
    Ok(directory.join(format!("net-{inode}.lock")))
}

/// Whether this line of `/proc/locks` says so: `1: FLOCK  ADVISORY  WRITE 1234 00:1b:567 0 EOF`.
fn holds(line: &str, pid: u32, inode: u64) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    // A process that waits for the lock has a line with `->` before FLOCK.
    let [_, "FLOCK", _, "WRITE", owner, file, ..] = words.as_slice() else { return false };
    let found = file.rsplit(':').next().and_then(|inode| inode.parse().ok());
    owner.parse() == Ok(pid) && found == Some(inode)
}

/// Whose the directory is.
fn prepare(directory: &Path) -> Result<Metadata, NamespaceLockError> {
    let failed = |error| NamespaceLockError::Io { path: directory.to_owned(), error };
    match DirBuilder::new().mode(0o755).create(directory) {
        // Whatever the umask.
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    // A link fails below (`is_dir`): who may replace it could lead a second server to another lock.
    let found = fs::symlink_metadata(directory).map_err(failed)?;
    let ours = found.uid() == 0 || found.uid() == geteuid().as_raw() || geteuid().is_root();
    if found.is_dir() && ours && found.mode() & 0o022 == 0 {
        Ok(found)
    } else {
        Err(NamespaceLockError::Unsafe { directory: directory.to_owned() })
    }
}

/// Gives the lock to the owner of the directory, who could not take it the next time otherwise.
///
/// That user may have put anything there for root to write to, like a second name of a file that is
/// not theirs: only a file of its own will do.
fn chown_to_dir_owner(file: File, dir_owner: &Metadata) -> io::Result<File> {
    let found = file.metadata()?;
    if !found.is_file() || found.nlink() != 1 {
        return Err(io::Error::other("it is not a regular file, or has a second name (hard link)"));
    }
    if found.uid() != dir_owner.uid() {
        fchown(&file, Some(dir_owner.uid()), Some(dir_owner.gid()))?;
    }
    Ok(file)
}

/// Writes the number of this process, for the message that the next one gets.
fn write_pid(file: &mut File) -> io::Result<()> {
    // The number of an earlier process may have more digits.
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The network namespace could not be locked.
#[derive(Debug)]
pub enum NamespaceLockError {
    /// Another process has it.
    Taken {
        /// The process that says it has.
        owner: Option<u32>,
        /// The lock.
        path: PathBuf,
    },
    /// Others could write there.
    Unsafe {
        /// Where the lock would have been.
        directory: PathBuf,
    },
    /// A file could not be used.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl std::error::Error for NamespaceLockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for NamespaceLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { owner, path } => {
                f.write_str("another sknockd")?;
                if let Some(pid) = owner {
                    write!(f, " (process {pid})")?;
                }
                let path = path.display();
                write!(
                    f,
                    " already runs in this network namespace and holds {path}. Stop it first, or \
                     start this one in another network namespace"
                )
            }
            Self::Unsafe { directory } => {
                let directory = directory.display();
                write!(
                    f,
                    "{directory} must be a directory that only root or the user of sknockd can \
                     write to. Remove it, or run: chown root {directory} && chmod 755 \
                     {directory} (under the unit: chown sknock)"
                )
            }
            Self::Io { path, error } => {
                write!(
                    f,
                    "cannot use {}: {error}. sknockd must be able to write to it",
                    path.display()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_of_locks_is_read() {
        let line = "7: FLOCK  ADVISORY  WRITE 1234 00:1b:567 0 EOF";
        assert!(holds(line, 1234, 567));
        assert!(!holds(line, 123, 567) && !holds(line, 1234, 67));
        for other in [
            "",
            "7: POSIX  ADVISORY  WRITE 1234 00:1b:567 0 EOF",
            "7: FLOCK  ADVISORY  READ 1234 00:1b:567 0 EOF",
            "7: -> FLOCK  ADVISORY  WRITE 1234 00:1b:567 0 EOF",
            "7: FLOCK  ADVISORY  WRITE 1234",
        ] {
            assert!(!holds(other, 1234, 567), "{other:?}");
        }
    }
}
