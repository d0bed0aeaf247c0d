//! The socket on which `sknockd close` asks. It lies beside the claim; only root and our own user can
//! send to it. As a unit that is the network process's user, too, who may close grants anyway.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use sknock_gate::NamespaceLock;

use crate::closing::{Answered, MAX_SIZE, SOCKET};
use crate::grants::GrantFilter;

/// Where we are asked to close something.
#[derive(Debug)]
pub(crate) struct CloseSocket(UnixDatagram);

impl CloseSocket {
    /// Opens it beside `claim`, in place of what an earlier run has left.
    pub(crate) fn open(claim: &NamespaceLock) -> io::Result<Self> {
        let path = claim.sibling(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// The next question, and who asks; without waiting. What is none is left out.
    pub(crate) fn next(&self) -> Option<(GrantFilter, SocketAddr)> {
        let mut heartbeat = [0; 4096];
        let (length, from) = self.0.recv_from(&mut heartbeat).ok()?;
        let which = serde_json::from_slice(heartbeat.get(..length)?).ok()?;
        Some((which, from))
    }

    /// Answers; whoever does not wait for it any more gets none.
    pub(crate) fn answer(&self, answered: &Answered, to: &SocketAddr) {
        let answer = serde_json::to_vec(answered).unwrap_or_default();
        debug_assert!(answer.len() < MAX_SIZE, "150 grants fit");
        let _ = self.0.send_to_addr(&answer, to);
    }
}

impl AsFd for CloseSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
