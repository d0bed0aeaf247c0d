//! Turns descriptor numbers from the handover into owned descriptors. The only place that does.

#![expect(unsafe_code, reason = "a descriptor that came through exec is known by its number only")]

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Descriptor numbers that were handed to this process, each good for one taking.
#[derive(Debug)]
pub(crate) struct Inherited(BTreeSet<RawFd>);

impl Inherited {
    /// Knows the numbers in the handover.
    pub(crate) fn new(numbers: impl IntoIterator<Item = RawFd>) -> Self {
        Self(numbers.into_iter().collect())
    }

    /// Closes what else came through exec: the program that started the server may have left something open, which no
    /// confinement would keep from us. Standard streams stay. Before anything is opened here.
    pub(crate) fn close_others(&self) -> io::Result<()> {
        let listed: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        for number in listed.into_iter().filter(|number| *number > 2 && !self.0.contains(number)) {
            // That of the listing itself is closed by now.
            if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
                continue;
            }
            // SAFETY: it is open and came from the process that started us; nothing in this process has
            // opened it, so nobody else owns it.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
        Ok(())
    }

    /// Takes ownership of `number`, once, and keeps later programs from inheriting it.
    pub(crate) fn take(&mut self, number: RawFd) -> io::Result<OwnedFd> {
        if number <= 2 || !self.0.remove(&number) {
            let text = format!("file descriptor {number} was not passed on, or is already used");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // SAFETY: `number` came from the process that started us, for us alone, and leaves the set
        // here, so nobody else owns or closes it. If it is not open, the call says so and does nothing.
        fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        // SAFETY: the same, and it is open.
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    }
}
