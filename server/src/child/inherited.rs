//! Turns descriptor numbers from the handover into owned descriptors. The only place that does.

#![expect(unsafe_code, reason = "a descriptor that came through exec is known by its number only")]

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Descriptor numbers that were handed to this process, each good for one taking.
#[derive(Debug)]
pub(crate) struct Inherited(BTreeSet<RawFd>);

impl Inherited {
    /// Knows the numbers in the handover.
    pub(crate) fn new(numbers: impl IntoIterator<Item = RawFd>) -> Self {
        Self(numbers.into_iter().collect())
    }

    /// Takes ownership of `number`, once, and keeps later programs from inheriting it.
    pub(crate) fn take(&mut self, number: RawFd) -> io::Result<OwnedFd> {
        if number <= 2 || !self.0.remove(&number) {
            let text = format!("descriptor {number} was not handed over, or is in use already");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // SAFETY: `number` came from the process that started us, for us alone, and leaves the set
        // here, so nobody else owns or closes it. If it is not open, the next line says so, and the
        // close on drop fails without effect, as no thread runs yet that could have opened it anew.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok(descriptor)
    }
}
