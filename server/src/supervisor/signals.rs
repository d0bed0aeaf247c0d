//! The signals that the privileged process listens to, as a descriptor among the others.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What somebody outside wants of us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// SIGTERM, SIGINT: stop in order.
    Stop,
    /// SIGHUP: read everything anew, without a trial.
    Reload,
    /// SIGUSR1: what is on trial stays.
    Confirm,
    /// SIGCHLD: a network process may have ended.
    Look,
}

/// Signals that wait to be read.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Holds the signals back from their default effect, from now on.
    pub(crate) fn hold() -> nix::Result<Self> {
        let set: SigSet =
            [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGCHLD]
                .into_iter()
                .collect();
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// The next signal, if there is one.
    pub(crate) fn next(&mut self) -> Option<Wanted> {
        let signal = self.0.read_signal().ok().flatten()?;
        match Signal::try_from(signal.ssi_signo.cast_signed()) {
            Ok(Signal::SIGTERM | Signal::SIGINT) => Some(Wanted::Stop),
            Ok(Signal::SIGHUP) => Some(Wanted::Reload),
            Ok(Signal::SIGUSR1) => Some(Wanted::Confirm),
            _ => Some(Wanted::Look),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
