//! A whole file in the place of another: at every moment there is the old one or the new one.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::stored::{Stored, remove, rename, sync_folder};

/// What a passing name has behind the name that the file is to get.
pub const PASSING: &str = ".new";

/// A file that is being written, under the passing name `NAME.new`. One at a time for each name: the
/// caller sees to that. Dropped, it is removed.
#[derive(Debug)]
pub struct PendingFile {
    file: Stored,
    length: u64,
    prepared: Prepared,
}

/// A file that is whole and on the disk, but does not have its name yet. Dropped, it is removed.
#[derive(Debug)]
pub struct Prepared {
    draft: PathBuf,
    path: PathBuf,
    published: bool,
}

impl PendingFile {
    /// Begins a file that is to be at `path`, with this mode less the umask. A draft that a crash has
    /// left is removed.
    pub fn begin(path: &Path, mode: u32) -> io::Result<Self> {
        let draft = passing(path)?;
        remove(&draft)?;
        let file = Stored::create(&draft, mode)?;
        let prepared = Prepared { draft, path: path.to_owned(), published: false };
        Ok(Self { file, length: 0, prepared })
    }

    /// Gives it this mode, whatever the umask.
    pub fn permit(&self, mode: u32) -> io::Result<()> {
        self.file.file().set_permissions(Permissions::from_mode(mode))
    }

    /// The file itself, for what changes no content.
    pub fn file(&self) -> &File {
        self.file.file()
    }

    /// Has the content survive a power loss.
    pub fn prepare(self) -> io::Result<Prepared> {
        self.file.sync()?;
        Ok(self.prepared)
    }

    /// Puts it in place for good.
    pub fn publish(self) -> io::Result<()> {
        let prepared = self.prepare()?;
        let folder = prepared.path.parent().map(Path::to_owned);
        prepared.publish()?;
        sync_folder(&folder.ok_or(io::ErrorKind::InvalidInput)?)
    }
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Prepared {
    /// Gives it its name. That survives a power loss only after [`sync_folder`].
    pub fn publish(mut self) -> io::Result<()> {
        rename(&self.draft, &self.path)?;
        self.published = true;
        Ok(())
    }

    /// Leaves it under its passing name, for [`publish_left`].
    pub fn leave(mut self) {
        self.published = true;
    }

    /// Where it is to be.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Gives a file that was prepared and left its name, `path`; it is no error if none was. That survives a
/// power loss only after [`sync_folder`].
pub fn publish_left(path: &Path) -> io::Result<()> {
    match rename(&passing(path)?, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn passing(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(PASSING);
    Ok(path.with_file_name(name))
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.published {
            // A leftover is removed by whoever begins the next one.
            let _ = remove(&self.draft);
        }
    }
}
