//! Where one worker receives knocks, and how it waits for them: the same from here on, however they come in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::batch::{Batch, Endpoints, Received};
use super::nflog::{self, NflogSocket};
use super::socket::KnockSocket;

/// One way for knocks to arrive.
#[derive(Debug)]
pub enum KnockSource {
    /// A bound UDP socket of this worker's own.
    Socket(KnockSocket),
    /// Copies from the kernel; workers share one socket.
    Log(NflogSocket),
}

impl KnockSource {
    /// Room for what is received at once.
    pub(crate) fn batch(&self) -> Batch {
        match self {
            Self::Socket(_) => Batch::for_datagrams(),
            Self::Log(_) => Batch::for_copies(),
        }
    }

    /// Receives what is there, without waiting, and calls `each` for every datagram that can be a
    /// knock. Says how many there were; `WouldBlock` if there was none.
    pub(crate) fn receive(
        &self,
        batch: &mut Batch,
        each: impl FnMut(Received<'_>),
    ) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => socket.receive(batch, each),
            Self::Log(log) => log.receive(batch, each),
        }
    }

    /// Sends `bytes` back to the source of a datagram, from its destination, without waiting.
    pub(crate) fn answer(&self, bytes: &[u8], ends: Endpoints) -> io::Result<()> {
        match (self, ends.destination) {
            (Self::Socket(socket), from) => {
                socket.send(bytes, ends.source, from.map(|from| from.ip()))
            }
            (Self::Log(_), Some(from)) => nflog::answer(bytes, from, ends.source),
            (Self::Log(_), None) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// How many datagrams were lost since some worker last asked, because the socket was full.
    pub(crate) fn lost(&self) -> u32 {
        match self {
            Self::Socket(socket) => socket.lost(),
            Self::Log(log) => log.lost(),
        }
    }

    /// Whether other workers receive from the same socket.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Log(_))
    }
}

impl AsFd for KnockSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(socket) => socket.as_fd(),
            Self::Log(log) => log.as_fd(),
        }
    }
}

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

/// How long a worker sleeps at most, in milliseconds: the answer to a heartbeat takes that long.
const POLL_TIMEOUT: u16 = 500;

impl Poller {
    /// Waits for datagrams at `source`, or until `stop` becomes readable.
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
