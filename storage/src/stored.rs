//! Files that are written in place, and changes of names in a folder.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

#[cfg(feature = "witness")]
use crate::witness::{self, Step};

/// A regular file, open for reading and writing.
#[derive(Debug)]
pub struct Stored(File);

/// Size of the pieces in which zeros are written.
const PIECE: usize = 16 * 1024;

impl Stored {
    /// Opens an existing file.
    ///
    /// Never blocks, for example on a FIFO, and does not follow a link in the last component of `path`.
    ///
    /// # Errors
    /// Those of open(2); [`io::ErrorKind::InvalidInput`] if it is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = options().open(path)?;
        must_be_regular(&file)?;
        #[cfg(feature = "witness")]
        witness::tell(Step::Opened { path, file: number(&file) });
        Ok(Self(file))
    }

    /// Makes an empty file with this mode, less the umask.
    ///
    /// # Errors
    /// Those of open(2); [`io::ErrorKind::AlreadyExists`] if the name exists.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let file = options().create_new(true).mode(mode).open(path)?;
        #[cfg(feature = "witness")]
        witness::tell(Step::Created { path, file: number(&file) });
        Ok(Self(file))
    }

    /// Its length in bytes.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// Reads from `offset` until `bytes` is full or the file ends; returns the number of bytes read.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match self.0.read_at(&mut bytes[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// Writes all of `bytes` at `offset`. After an error, a part of them may be written.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)?;
        #[cfg(feature = "witness")]
        witness::tell(Step::Wrote { file: number(&self.0), offset, bytes });
        Ok(())
    }

    /// Writes zeros from `from` to `to`, the last ones first: if it is interrupted, the remaining old content
    /// has no gap.
    pub fn clear(&self, from: u64, to: u64) -> io::Result<()> {
        let mut end = to;
        while end > from {
            let start = from.max(end.saturating_sub(PIECE as u64));
            let length = usize::try_from(end - start).unwrap_or(PIECE);
            self.write_at(&[0; PIECE][..length], start)?;
            end = start;
        }
        Ok(())
    }

    /// Extends the file to at least `length` bytes and allocates disk blocks for all of them, so that a later
    /// write there cannot fail with ENOSPC. New bytes read as zeros. Never shortens a file.
    ///
    /// If the file system does not support it (`EOPNOTSUPP`), zeros are written after the old end.
    ///
    /// # Errors
    /// Those of the file system, such as ENOSPC. The file may be longer than before then.
    pub fn allocate(&self, length: u64) -> io::Result<()> {
        let old = self.length()?;
        let wanted = i64::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        match fallocate(&self.0, FallocateFlags::empty(), 0, wanted) {
            Ok(()) => {
                #[cfg(feature = "witness")]
                witness::tell(Step::Lengthened { file: number(&self.0), length: length.max(old) });
                Ok(())
            }
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                let mut end = old;
                while end < length {
                    let piece = PIECE.min(usize::try_from(length - end).unwrap_or(PIECE));
                    self.write_at(&[0; PIECE][..piece], end)?;
                    end += piece as u64;
                }
                Ok(())
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Syncs content and length to the disk. The name survives a power loss only after [`sync_folder`].
    pub fn sync(&self) -> io::Result<()> {
        // fdatasync(2) also writes the length; what it leaves out are times.
        self.0.sync_data()?;
        #[cfg(feature = "witness")]
        witness::tell(Step::Synced { file: number(&self.0) });
        Ok(())
    }

    /// The file itself, for operations that do not change its content.
    pub fn file(&self) -> &File {
        &self.0
    }
}

/// Opens a regular file for reading only. Never blocks, for example on a FIFO.
///
/// # Errors
/// Those of open(2); [`io::ErrorKind::InvalidInput`] if it is no regular file.
pub fn open_regular(path: &Path, follow: Follow) -> io::Result<File> {
    let more = if follow == Follow::Never { libc::O_NOFOLLOW } else { 0 };
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | more).open(path)?;
    must_be_regular(&file)?;
    Ok(file)
}

/// Whether the last component of a path may be a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Follow {
    /// It may, and is followed.
    Links,
    /// It may not.
    Never,
}

fn must_be_regular(file: &File) -> io::Result<()> {
    // Of the open file: the path may lead to another one by now.
    if file.metadata()?.is_file() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// Renames a file, replacing an existing one.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    #[cfg(feature = "witness")]
    witness::tell(Step::Renamed { from, to });
    Ok(())
}

/// Removes a file; a missing one is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {
            #[cfg(feature = "witness")]
            witness::tell(Step::Removed { path });
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Syncs a folder: its names then survive a power loss.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    #[cfg(feature = "witness")]
    witness::tell(Step::SyncedFolder { path });
    Ok(())
}

#[cfg(feature = "witness")]
fn number(file: &File) -> std::os::fd::RawFd {
    std::os::fd::AsRawFd::as_raw_fd(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_a_regular_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("/etc/shadow", at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["folder", "fifo", "link", "socket", "missing"] {
            assert!(Stored::open(&at(name)).is_err(), "{name}");
            assert!(open_regular(&at(name), Follow::Never).is_err(), "{name}");
        }
    }

    #[test]
    fn allocating_takes_room_keeps_the_content_and_shortens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = Stored::create(&folder.path().join("file"), 0o600).unwrap();
        file.write_at(b"old", 0).unwrap();
        file.allocate(100_000).unwrap();
        file.allocate(10).unwrap();
        assert_eq!(file.length().unwrap(), 100_000);
        let blocks = std::os::unix::fs::MetadataExt::blocks(&file.file().metadata().unwrap());
        assert!(blocks * 512 >= 100_000, "{blocks} blocks");
        let mut start = [1; 8];
        file.read_at(&mut start, 0).unwrap();
        assert_eq!(&start, b"old\0\0\0\0\0");
    }

    #[test]
    fn clearing_leaves_zeros_exactly_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = Stored::create(&path, 0o600).unwrap();
        file.write_at(&vec![7; 200_000], 0).unwrap();
        file.clear(10, 199_990).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes[..10].iter().chain(&bytes[199_990..]).all(|&byte| byte == 7));
        assert!(bytes[10..199_990].iter().all(|&byte| byte == 0));
    }
}
