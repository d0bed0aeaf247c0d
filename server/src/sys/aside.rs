//! What is in the way of a file of ours in `stateDir` is renamed, and the log says so.

use std::io;
use std::path::Path;

use nix::unistd::geteuid;
use sknock_storage::{MovedAside, set_aside};
use tracing::warn;

/// Renames what is at `path`, unless it is a regular file of ours of at most `largest` bytes.
pub(crate) fn clear(path: &Path, largest: u64) -> io::Result<()> {
    set_aside(path, Some(geteuid().as_raw()), largest).map(|found| tell(path, found))
}

/// The same, but whose file it is does not matter: we put another one in its place.
pub(crate) fn clear_whosoever(path: &Path, largest: u64) -> io::Result<()> {
    set_aside(path, None, largest).map(|found| tell(path, found))
}

fn tell(path: &Path, found: Option<MovedAside>) {
    if let Some(MovedAside { why, renamed }) = found {
        let (path, renamed) = (path.display(), renamed.display());
        warn!("cannot use {path}: {why}. Renamed it to {renamed}; the start continues without it");
    }
}
