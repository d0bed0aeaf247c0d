//! One gate for each network namespace: a second one would replace the first one's table.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

/// This network namespace is ours, until this is dropped or the process ends. Programs that are
/// executed do not inherit it.
#[derive(Debug)]
pub struct Claim {
    _lock: Flock<File>,
}

impl Claim {
    /// Where the locks are, unless told otherwise.
    pub const DIRECTORY: &'static str = "/run/sknock";

    /// Claims the calling thread's network namespace by a lock in `directory`, which is made if it is
    /// not there (mode 0755) and must be nobody else's to write.
    pub fn take(directory: &Path) -> Result<Self, ClaimError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| ClaimError::Io { path, error }
        };
        prepare(directory)?;
        let namespace = Path::new("/proc/thread-self/ns/net");
        let inode = fs::metadata(namespace).map_err(failed(namespace))?.ino();
        let path = directory.join(format!("net-{inode}.lock"));
        // Opened files are close-on-exec in Rust; O_NOFOLLOW so that a link leads nowhere.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed(&path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                sign(&mut lock).map_err(failed(&path))?;
                Ok(Self { _lock: lock })
            }
            Err((file, Errno::EWOULDBLOCK)) => Err(ClaimError::Taken { owner: owner(file), path }),
            Err((_, errno)) => Err(ClaimError::Io { path, error: errno.into() }),
        }
    }
}

fn prepare(directory: &Path) -> Result<(), ClaimError> {
    let failed = |error| ClaimError::Io { path: directory.to_owned(), error };
    match DirBuilder::new().mode(0o755).create(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let found = fs::symlink_metadata(directory).map_err(failed)?;
    let ours = found.uid() == 0 || found.uid() == geteuid().as_raw();
    if found.is_dir() && ours && found.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(ClaimError::Unsafe { directory: directory.to_owned() })
    }
}

/// Writes down who has the lock, for the message that the next one gets.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn owner(file: File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The network namespace could not be claimed.
#[derive(Debug)]
pub enum ClaimError {
    /// Somebody else has it.
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

impl std::error::Error for ClaimError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for ClaimError {
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
                    " guards this network namespace already and holds {path}; stop it first, \
                     or start this one in a network namespace of its own"
                )
            }
            Self::Unsafe { directory } => {
                let directory = directory.display();
                write!(
                    f,
                    "{directory} is no directory that only root can write to; \
                     remove it, or `chown root {directory} && chmod 755 {directory}`"
                )
            }
            Self::Io { path, error } => {
                write!(f, "cannot use {}: {error}; it must be root's to write", path.display())
            }
        }
    }
}
