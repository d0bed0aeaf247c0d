//! Echo services in both families, in place of SSH, a name server, ...

use std::io;
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Namespace, wait};

/// A service. Ends when dropped; connections live on until their client closes them.
#[derive(Debug)]
pub struct Echo {
    /// Dropped first, which wakes the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Listens on a TCP port in `namespace`.
    #[track_caller]
    pub fn tcp(namespace: &Namespace, port: u16) -> Self {
        let bind = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
        let listener = namespace.inside(|| wait::once_free(bind));
        Self::serve(move |stopped| {
            while is_readable(listener.as_fd(), stopped) {
                let Ok((stream, _)) = listener.accept() else { continue };
                thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        })
    }

    /// Receives on a UDP port in `namespace`.
    #[track_caller]
    pub fn udp(namespace: &Namespace, port: u16) -> Self {
        let socket = udp_socket(namespace, port);
        Self::serve(move |stopped| {
            let mut buffer = [0; 2048];
            while is_readable(socket.as_fd(), stopped) {
                let Ok((length, source)) = socket.recv_from(&mut buffer) else { continue };
                // The client may have ended.
                let _ = socket.send_to(&buffer[..length], source);
            }
        })
    }

    fn serve(work: impl FnOnce(BorrowedFd<'_>) + Send + 'static) -> Self {
        let (stop, stopped) = UnixStream::pair().expect("descriptors are left");
        let thread = thread::spawn(move || work(stopped.as_fd()));
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is ignored: the test notices missing answers.
            let _ = thread.join();
        }
    }
}

/// A UDP socket at `port` in `namespace`, for both families.
///
/// It waits until the port is free: the server binds a knock port for as long as it takes to send one
/// answer, and a client may have the answer before the socket is closed.
#[track_caller]
pub fn udp_socket(namespace: &Namespace, port: u16) -> UdpSocket {
    let bind = || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port));
    namespace.inside(|| wait::once_free(bind))
}

/// Waits until there is something to read; false when it is time to stop.
pub(crate) fn is_readable(socket: BorrowedFd<'_>, stopped: BorrowedFd<'_>) -> bool {
    let mut polled = [socket, stopped].map(|one| PollFd::new(one, PollFlags::POLLIN));
    let waited = poll(&mut polled, PollTimeout::NONE);
    waited.is_ok() && polled[1].any() == Some(false)
}
