//! One thread, one socket, one link to the gate: takes each datagram from its entry to its effect.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sknock_protocol::{Answer, Datagram, Moment};

use super::{Batch, KnockSocket, Received};
use crate::audit::Audit;
use crate::gate::{Gate, NotOpened, Opened};
use crate::pipeline::Pipeline;
use crate::replay::ReplayStore;

/// Receives from `socket` until `stop` becomes readable, or the gate or the socket fails.
///
/// Datagrams that wait in the socket then stay there for whoever holds it next.
pub fn work<R: ReplayStore>(
    socket: &KnockSocket,
    mut porter: Porter<'_, R>,
    stop: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut batch = Batch::default();
    while !stopped(socket.as_fd(), stop)? {
        let mut outcome = Ok(());
        let received = batch.receive(socket.as_fd(), |received| {
            if outcome.is_ok() {
                outcome = porter.take(socket, received);
            }
        });
        match received {
            Err(error) if !is_passing(&error) => return Err(error),
            _ => outcome?,
        }
    }
    Ok(())
}

/// Takes a datagram all the way.
#[derive(Debug)]
pub struct Porter<'a, R> {
    /// Who decides.
    pub pipeline: &'a Pipeline<R>,
    /// Who opens doors.
    pub gate: Gate,
    /// What is told about it.
    pub audit: Audit,
    /// What time it is.
    pub clock: fn() -> Moment,
}

impl<R: ReplayStore> Porter<'_, R> {
    /// The way of one datagram. Only the loss of the gate is an error.
    fn take(&mut self, socket: &KnockSocket, received: Received<'_>) -> io::Result<()> {
        let now = (self.clock)();
        let datagram = Datagram::new(received.source, received.payload);
        match self.pipeline.handle(datagram, now) {
            Ok(grant) => match self.gate.open(grant) {
                Ok(opened) => {
                    self.answer(&opened, socket, received);
                    self.audit.granted(&opened);
                }
                Err(NotOpened::Denied { grant, answer }) => self.audit.not_opened(&grant, answer),
                Err(NotOpened::Gone(error)) => return Err(error),
            },
            Err(refused) => self.audit.refused(&refused, datagram.source(), now),
        }
        Ok(())
    }

    /// Tells the client, if it wants to know. A lost answer costs it one retry, so errors are none.
    fn answer(&self, opened: &Opened, socket: &KnockSocket, received: Received<'_>) {
        let grant = opened.grant();
        if let Some(key) = grant.answer_key() {
            let bytes = key.seal(&Answer {
                clipped: opened.clipped(),
                seconds: opened.seconds(),
                server_time: (self.clock)(),
                observed: grant.source(),
            });
            let _ = socket.send(&bytes, received.source, received.destination);
        }
    }
}

/// Waits until there is something to do, and says whether that is to stop.
fn stopped(socket: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polled = [PollFd::new(socket, PollFlags::POLLIN), PollFd::new(stop, PollFlags::POLLIN)];
    match poll(&mut polled, PollTimeout::NONE) {
        Ok(_) => Ok(polled[1].any().unwrap_or(true)),
        Err(nix::Error::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Nothing there after all, an ICMP error for an answer of ours, an interface that comes and goes.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::WouldBlock
            | Kind::Interrupted
            | Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::PermissionDenied
            | Kind::OutOfMemory
    )
}
