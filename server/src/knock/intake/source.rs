//! One worker's source of knocks, and its wait for them: the same for both intakes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::batch::{Batch, Endpoints, Received};
use super::nflog::{self, NflogSocket};
use super::socket::KnockSocket;

/// A source of knocks.
#[derive(Debug)]
pub enum KnockSource {
    /// A bound UDP socket of one worker.
    Socket(KnockSocket),
    /// Copies from the kernel; workers share one socket.
    Log(NflogSocket),
}

impl KnockSource {
    /// A buffer for one batch.
    pub(crate) fn batch(&self) -> Batch {
        match self {
            Self::Socket(_) => Batch::for_datagrams(),
            Self::Log(_) => Batch::for_copies(),
        }
    }

    /// Receives the available datagrams, without blocking, and calls `each` for every one that may be a
    /// knock. Returns their number; `WouldBlock` if there was none.
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

    /// Sends `bytes` back to the source of a datagram, from its destination, without blocking.
    pub(crate) fn answer(&self, bytes: &[u8], ends: Endpoints) -> io::Result<()> {
        match (self, ends.destination) {
            (Self::Socket(socket), from) => {
                socket.send(bytes, ends.source, from.map(|from| from.ip()))
            }
            (Self::Log(_), Some(from)) => nflog::answer(bytes, from, ends.source),
            (Self::Log(_), None) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// The number of datagrams lost since any worker's last call, because the socket was full.
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

/// A worker's next step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Receive.
    Look,
    /// End.
    Stop,
}

/// One worker's epoll instance.
#[derive(Debug)]
pub(crate) struct Poller(Epoll);

const KNOCKS: u64 = 0;
const STOP: u64 = 1;

/// Maximum sleep in milliseconds: it delays the answer to a heartbeat.
const POLL_TIMEOUT: u16 = 500;

impl Poller {
    /// Waits for datagrams at `source`, or until `stop` becomes readable.
    pub(crate) fn new(source: &KnockSource, stop: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut interest = EpollFlags::EPOLLIN;
        if source.is_shared() {
            // Wakes one of the sleeping workers per datagram instead of all.
            interest |= EpollFlags::EPOLLEXCLUSIVE;
        }
        epoll.add(source.as_fd(), EpollEvent::new(interest, KNOCKS))?;
        // Not exclusive: all workers share this socket, and a stop wakes each of them.
        epoll.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        Ok(Self(epoll))
    }

    /// Sleeps if the worker is idle.
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
