//! The line to the privileged process: reports go out, orders come in, its end is noticed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};

use crate::orders::{Order, Report};

/// Our end of the line.
#[derive(Debug)]
pub(crate) struct Orders(pub(crate) OwnedFd);

impl Orders {
    /// Tells how far we are.
    pub(crate) fn report(&self, report: Report) -> io::Result<()> {
        send(self.0.as_raw_fd(), &[report as u8], MsgFlags::MSG_NOSIGNAL)?;
        Ok(())
    }

    /// Waits for the next order. An error means that whom we serve is gone.
    pub(crate) fn wait(&self) -> io::Result<Order> {
        let mut byte = [0];
        loop {
            match recv(self.0.as_raw_fd(), &mut byte, MsgFlags::empty()) {
                Ok(1) => match Order::from_byte(byte[0]) {
                    Some(order) => return Ok(order),
                    None => return Err(io::Error::other("an order that we do not know")),
                },
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for `span`, or until there is something to read; says whether there is.
    pub(crate) fn pause(&self, span: Duration) -> io::Result<bool> {
        let timeout = PollTimeout::try_from(span).unwrap_or(PollTimeout::MAX);
        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, timeout) {
            Ok(count) => Ok(count > 0),
            Err(nix::Error::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
