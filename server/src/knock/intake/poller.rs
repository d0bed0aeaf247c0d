//! Waits for knocks, or for the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::KnockSource;

/// What there is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Look for knocks.
    Look,
    /// End.
    Stop,
}

/// One worker's way to sleep.
#[derive(Debug)]
pub(crate) struct Poller(Epoll);

const KNOCKS: u64 = 0;
const STOP: u64 = 1;

/// How long a worker sleeps at most, in milliseconds: whoever asks whether it turns waits for that.
const POLL_TIMEOUT: u16 = 500;

impl Poller {
    /// Until `ear` hears something, or `stop` becomes readable.
    pub(crate) fn new(source: &KnockSource, stop: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut heard = EpollFlags::EPOLLIN;
        if source.is_shared() {
            // Of the workers that sleep, one is enough for one knock.
            heard |= EpollFlags::EPOLLEXCLUSIVE;
        }
        epoll.add(source.as_fd(), EpollEvent::new(heard, KNOCKS))?;
        epoll.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        Ok(Self(epoll))
    }

    /// Sleeps if there is nothing else to do.
    pub(crate) fn next(&self, idle: bool) -> io::Result<Next> {
        let timeout = if idle { EpollTimeout::from(POLL_TIMEOUT) } else { EpollTimeout::ZERO };
        let mut events = [EpollEvent::empty(); 2];
        match self.0.wait(&mut events, timeout) {
            Ok(count) if events.iter().take(count).any(|event| event.data() == STOP) => {
                Ok(Next::Stop)
            }
            Ok(_) | Err(Errno::EINTR) => Ok(Next::Look),
            Err(error) => Err(error.into()),
        }
    }
}
