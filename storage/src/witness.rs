//! Reports every change of a file or name to a test in the same thread.

use std::cell::RefCell;
use std::os::fd::RawFd;
use std::path::Path;

/// A successful change. Files are identified by their descriptors.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Step<'a> {
    /// An existing file was opened.
    Opened { path: &'a Path, file: RawFd },
    /// A new file was made and opened.
    Created { path: &'a Path, file: RawFd },
    /// These bytes were written at that offset.
    Wrote { file: RawFd, offset: u64, bytes: &'a [u8] },
    /// The file was extended to this length.
    Lengthened { file: RawFd, length: u64 },
    /// Content and length were synced.
    Synced { file: RawFd },
    /// A name was changed, replacing an existing file.
    Renamed { from: &'a Path, to: &'a Path },
    /// The name was removed.
    Removed { path: &'a Path },
    /// The folder was synced.
    SyncedFolder { path: &'a Path },
}

type Listener = Box<dyn FnMut(Step<'_>)>;

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// Runs `work`, and calls `listener` for every change of this thread during it.
pub fn listen<R>(listener: impl FnMut(Step<'_>) + 'static, work: impl FnOnce() -> R) -> R {
    LISTENER.set(Some(Box::new(listener)));
    let result = work();
    LISTENER.set(None);
    result
}

pub(crate) fn tell(step: Step<'_>) {
    LISTENER.with_borrow_mut(|listener| {
        if let Some(listener) = listener {
            listener(step);
        }
    });
}
