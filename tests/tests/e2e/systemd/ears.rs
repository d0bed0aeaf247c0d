//! Who listens where systemd would.

use std::io;
use std::os::unix::net::UnixDatagram;

use sknock_tests::Daemon;
use sknock_tests::wait::{LIMIT, Limit, uninterrupted};

/// Its socket.
pub(crate) struct Ears(UnixDatagram);

impl Ears {
    /// Has `daemon` find it at its next start. By its process number, a watchdog is only for the very
    /// program that was started: `sh` becomes it.
    pub(crate) fn watching(daemon: &mut Daemon<'_>) -> Self {
        let ears = Self::listening(daemon);
        daemon.export("WATCHDOG_USEC", "30000000");
        daemon.start_through(&["sh", "-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"]);
        ears
    }

    /// The same without a watchdog.
    pub(crate) fn listening(daemon: &mut Daemon<'_>) -> Self {
        let path = daemon.file("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        daemon.export("NOTIFY_SOCKET", path.to_str().unwrap());
        Self(socket)
    }

    /// The next message; `None` if there is none within `limit`.
    fn next(&self, limit: Limit) -> Option<String> {
        let left = limit.left();
        if left.is_zero() {
            return None;
        }
        self.0.set_read_timeout(Some(left)).unwrap();
        let mut message = [0; 4096];
        match uninterrupted(|| self.0.recv(&mut message)) {
            Ok(length) => Some(String::from_utf8_lossy(&message[..length]).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until it is told this.
    #[track_caller]
    pub(crate) fn hears(&self, what: &str) {
        let limit = Limit::new(LIMIT);
        while !self.next(limit).expect(what).contains(what) {}
    }

    /// All that it is told before `limit`.
    pub(crate) fn until(&self, limit: Limit) -> Vec<String> {
        std::iter::from_fn(|| self.next(limit)).collect()
    }

    /// Forgets what it was told until now.
    pub(crate) fn forget(&self) {
        self.0.set_nonblocking(true).unwrap();
        while self.0.recv(&mut [0; 4096]).is_ok() {}
        self.0.set_nonblocking(false).unwrap();
    }
}
