//! Every change of a file or name, told to a test in the same thread.

use std::cell::RefCell;
use std::os::fd::RawFd;
use std::path::Path;

/// A change that has succeeded. Files are known by their descriptors.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Step<'a> {
    /// A file that was there is open.
    Opened { path: &'a Path, file: RawFd },
    /// A new file is there, and open.
    Created { path: &'a Path, file: RawFd },
    /// These bytes are at that offset.
    Wrote { file: RawFd, offset: u64, bytes: &'a [u8] },
    /// The file has this length.
    Lengthened { file: RawFd, length: u64 },
    /// Content and length are on the disk.
    Synced { file: RawFd },
    /// Another name, in place of what had it.
    Renamed { from: &'a Path, to: &'a Path },
    /// There is no file of that name.
    Removed { path: &'a Path },
    /// The names in that folder are on the disk.
    SyncedFolder { path: &'a Path },
}

type Listener = Box<dyn FnMut(Step<'_>)>;

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// Does `work`, and tells `listener` of every change that this thread makes meanwhile.
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
