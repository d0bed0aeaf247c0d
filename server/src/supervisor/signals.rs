//! The signals that the privileged process listens to, as a descriptor among the others.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::trial;

/// What somebody outside wants of us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// SIGTERM, SIGINT: stop in order.
    Stop,
    /// SIGHUP: read everything anew.
    Reload {
        /// On trial, for so long: the signal's number, if it was queued with one (sigqueue), in seconds.
        trial: Option<Duration>,
    },
    /// SIGHUP with a number that is no time for a trial.
    Unclear(i32),
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
            Ok(Signal::SIGHUP) => Some(reload(signal.ssi_code, signal.ssi_int)),
            Ok(Signal::SIGUSR1) => Some(Wanted::Confirm),
            _ => Some(Wanted::Look),
        }
    }
}

/// Only what was queued has a number; from kill(2) it is a plain reload. So is zero.
fn reload(code: i32, number: i32) -> Wanted {
    if code != libc::SI_QUEUE || number == 0 {
        return Wanted::Reload { trial: None };
    }
    let trial = trial::span(number.into());
    trial.map_or(Wanted::Unclear(number), |span| Wanted::Reload { trial: Some(span) })
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
