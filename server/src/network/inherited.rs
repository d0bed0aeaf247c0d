//! Turns descriptor numbers from the handover into owned descriptors. The only place for that.

#![expect(unsafe_code, reason = "a descriptor that came through exec is known by its number only")]

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Descriptor numbers that were passed to this process, each taken once.
#[derive(Debug)]
pub(crate) struct Inherited(BTreeSet<RawFd>);

impl Inherited {
    pub(crate) fn new(numbers: impl IntoIterator<Item = RawFd>) -> Self {
        Self(numbers.into_iter().collect())
    }

    /// Closes other inherited descriptors: the parent of the server may have left files open, which no
    /// sandbox would restrict. Standard streams stay. Must be called before anything is opened here.
    pub(crate) fn close_others(&self) -> io::Result<()> {
        let listed: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        for number in listed.into_iter().filter(|number| *number > 2 && !self.0.contains(number)) {
            // The descriptor of the listing itself is closed by now.
            if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
                continue;
            }
            // SAFETY: it is open and was inherited; nothing in this process has opened it, so no other code
            // owns it.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
        Ok(())
    }

    /// Takes ownership of `number`, once, and sets `FD_CLOEXEC`.
    pub(crate) fn take(&mut self, number: RawFd) -> io::Result<OwnedFd> {
        if number <= 2 || !self.0.remove(&number) {
            let text = format!("file descriptor {number} was not passed on, or is already used");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // SAFETY: `number` was passed to this process and is removed from the set here, so no other code owns
        // or closes it. If it is not open, the call fails with EBADF.
        fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        // SAFETY: the same, and it is open.
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    }
}
