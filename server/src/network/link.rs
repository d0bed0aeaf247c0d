//! The link to the privileged process: reports go out, orders come in, one byte each. Its end is detected.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};

/// Our end of the link.
#[derive(Debug)]
pub(crate) struct Orders(pub(crate) OwnedFd);

impl Orders {
    /// Sends a report.
    pub(crate) fn report(&self, report: NetworkReport) -> io::Result<()> {
        send(self.0.as_raw_fd(), &[report as u8], MsgFlags::MSG_NOSIGNAL)?;
        Ok(())
    }

    /// Waits for the next order. An error means that the privileged process has ended.
    pub(crate) fn wait(&self) -> io::Result<Order> {
        loop {
            if let Some(order) = self.within(None)? {
                return Ok(order);
            }
        }
    }

    /// Waits for the next order, at most for `span`.
    pub(crate) fn within(&self, span: Option<Duration>) -> io::Result<Option<Order>> {
        let timeout = span.map_or(PollTimeout::NONE, |span| {
            PollTimeout::try_from(span).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut byte = [0];
        match recv(self.0.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT) {
            Ok(1) => match Order::from_byte(byte[0]) {
                Some(order) => Ok(Some(order)),
                None => Err(io::Error::other("unknown order of the privileged process")),
            },
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// An order to the network process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Order {
    /// Lock the state directory and begin.
    Begin = b'b',
    /// Finish current work, close the journal, unlock the state directory and end.
    Finish = b'f',
    /// Report [`NetworkReport::Pong`] after the next turn of every worker.
    Ping = b'a',
}

impl Order {
    /// Reads an order.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Begin, Self::Finish, Self::Ping].into_iter().find(|order| *order as u8 == byte)
    }
}

/// A report to the privileged process. It allows nothing that the gate does not check itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum NetworkReport {
    /// Keys, trust and CRLs are read, and the sandbox is in place.
    Prepared = b'p',
    /// Every worker has completed a turn since [`Order::Ping`].
    Pong = b'w',
}

impl NetworkReport {
    /// Reads a report.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Prepared, Self::Pong].into_iter().find(|report| *report as u8 == byte)
    }
}
