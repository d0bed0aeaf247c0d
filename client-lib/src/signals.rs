//! A thread of ours handles no signals of the program that we are a part of: its handlers may rely on
//! the threads that it has started itself.

/// Does `start`, which starts a thread. The thread inherits that all signals are blocked; the caller's
/// own mask is as before afterwards.
#[cfg(unix)]
pub(crate) fn blocked<T>(start: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SigSet, SigmaskHow};
    // It fails for no set of signals that exists; if it did, nothing would have changed.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).ok();
    let started = start();
    if let Some(before) = before {
        // As above.
        let _ = before.thread_set_mask();
    }
    started
}

/// There are no signals to block.
#[cfg(not(unix))]
pub(crate) fn blocked<T>(start: impl FnOnce() -> T) -> T {
    start()
}
