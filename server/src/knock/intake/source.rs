//! Where one worker hears knocks: the same from here on, however they come in.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use super::batch::Batch;
use super::{KnockSocket, NflogSocket, nflog};

/// One way for knocks to come in.
#[derive(Debug)]
pub enum KnockSource {
    /// A bound UDP socket of this worker's own.
    Socket(KnockSocket),
    /// Copies from the kernel; workers share one socket.
    Log(NflogSocket),
}

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Between whom it travelled.
    pub ends: Endpoints,
    /// The UDP payload; longer ones than any knock has are cut to one byte more.
    pub payload: &'a [u8],
}

/// Who sent a datagram where.
#[derive(Clone, Copy, Debug)]
pub struct Endpoints {
    /// Who seems to have sent it.
    pub source: SocketAddr,
    /// The local address and port it was sent to, if the kernel told.
    pub destination: Option<SocketAddr>,
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

    /// Sends `bytes` back to whoever sent a datagram, from where it was sent to, without waiting.
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
