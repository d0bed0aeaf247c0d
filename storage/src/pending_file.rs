//! Replaces a file atomically: at every moment either the old or the new one exists.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::stored::{Stored, remove, rename, sync_folder};

/// The suffix of a temporary name.
pub const PASSING: &str = ".new";

/// A file that is being written, under the temporary name `NAME.new`. The caller makes sure that there is one
/// at a time for each name. Dropping it removes it.
#[derive(Debug)]
pub struct PendingFile {
    file: Stored,
    length: u64,
    prepared: Prepared,
}

/// A complete, synced file without its final name. Dropping it removes it.
#[derive(Debug)]
pub struct Prepared {
    draft: PathBuf,
    path: PathBuf,
    published: bool,
}

impl PendingFile {
    /// Begins a file for `path`, with this mode less the umask. Removes a temporary file that a crash has
    /// left.
    pub fn begin(path: &Path, mode: u32) -> io::Result<Self> {
        let draft = passing(path)?;
        remove(&draft)?;
        let file = Stored::create(&draft, mode)?;
        let prepared = Prepared { draft, path: path.to_owned(), published: false };
        Ok(Self { file, length: 0, prepared })
    }

    /// Sets the mode, regardless of the umask.
    pub fn permit(&self, mode: u32) -> io::Result<()> {
        self.file.file().set_permissions(Permissions::from_mode(mode))
    }

    /// The file itself, for operations that do not change its content.
    pub fn file(&self) -> &File {
        self.file.file()
    }

    /// Syncs the content.
    pub fn prepare(self) -> io::Result<Prepared> {
        // Before the new name: a power failure may otherwise leave that name with a part of the content, or
        // none.
        self.file.sync()?;
        Ok(self.prepared)
    }

    /// Renames it to its final name and syncs the folder.
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
    /// Renames it to its final name. The name survives a power loss only after [`sync_folder`].
    pub fn publish(mut self) -> io::Result<()> {
        rename(&self.draft, &self.path)?;
        self.published = true;
        Ok(())
    }

    /// Keeps it under its temporary name, for [`publish_left`].
    pub fn leave(mut self) {
        self.published = true;
    }

    /// The final path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Renames a file that was prepared and left to its final name `path`; a missing one is no error. The name
/// survives a power loss only after [`sync_folder`].
pub fn publish_left(path: &Path) -> io::Result<()> {
    match rename(&passing(path)?, path) {
        // The rename was done before the crash.
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
            // On failure, the next `begin` for this path removes it.
            let _ = remove(&self.draft);
        }
    }
}
