//! The knock sockets in the privileged process: opened with privilege, and kept from one network process to
//! the next with their queued datagrams. They are never read here.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use caps::Capability;
use sknock_protocol::Service;
use tracing::warn;

use super::privilege::with_capabilities;
use crate::config::{Intake, Settings};
use crate::knock::intake::socket::KnockSocket;

/// One second in total.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// How a socket receives knocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SocketUse {
    /// Bound to this UDP port; one for each worker.
    Port(u16),
    /// By this NFLOG group; one for all workers.
    Group(u16),
}

/// All open sockets. Those of a new configuration are open beside those of the old one, until one of the two
/// is in force.
#[derive(Debug, Default)]
pub(crate) struct KnockSockets(Vec<(SocketUse, OwnedFd)>);

impl KnockSockets {
    /// Opens missing sockets for `settings`.
    ///
    /// # Errors
    ///
    /// The sockets that cannot be opened, beginning with the configuration key.
    pub(crate) fn open(&mut self, settings: &Settings) -> Result<(), String> {
        let way = SocketUse::of(settings);
        self.0.retain(|(way, socket)| {
            let stays = way.restore(socket.as_fd());
            if !stays {
                warn!(
                    "a knock socket was shut down or connected by the network process: opened \
                       a new one. The network process may be compromised"
                );
            }
            stays
        });
        for _ in self.of(settings).count()..way.sockets(settings) {
            let socket = if self.0.is_empty() { way.open_patiently() } else { way.open() };
            self.0.push((way, socket?));
        }
        Ok(())
    }

    /// The open sockets for `settings`.
    pub(crate) fn of(&self, settings: &Settings) -> impl Iterator<Item = BorrowedFd<'_>> {
        let way = SocketUse::of(settings);
        let ours = self.0.iter().filter(move |(open, _)| *open == way);
        ours.take(way.sockets(settings)).map(|(_, socket)| socket.as_fd())
    }

    /// Closes the sockets that `settings` do not need.
    pub(crate) fn close_others(&mut self, settings: &Settings) {
        let way = SocketUse::of(settings);
        self.0.retain(|(open, _)| *open == way);
        self.0.truncate(way.sockets(settings));
    }
}

impl SocketUse {
    fn of(settings: &Settings) -> Self {
        let knocks = &settings.knocks;
        match knocks.intake {
            // There is exactly one; port 0 would bind a random port.
            Intake::Socket => Self::Port(knocks.ports.first().map_or(0, Service::first)),
            Intake::Nflog => Self::Group(knocks.group),
        }
    }

    fn sockets(self, settings: &Settings) -> usize {
        match self {
            Self::Port(_) => workers(settings),
            Self::Group(_) => 1,
        }
    }

    /// Whether a socket is unchanged or could be restored: its readers may have been compromised, and socket
    /// options outlive them.
    fn restore(self, socket: BorrowedFd<'_>) -> bool {
        match self {
            Self::Port(_) => KnockSocket::restore(socket),
            Self::Group(group) => sknock_netfilter::nflog::rebind_group(socket)
                .inspect_err(|error| {
                    warn!("NFLOG group {group}: cannot restore its socket: {error}");
                })
                .is_ok(),
        }
    }

    /// At the server's start. If a previous server was killed, its network process may need a moment to end,
    /// and holds the NFLOG group until then.
    fn open_patiently(self) -> Result<OwnedFd, String> {
        for _ in 0..ATTEMPTS {
            if let Ok(socket) = self.open() {
                return Ok(socket);
            }
            thread::sleep(PAUSE);
        }
        self.open()
    }

    fn open(self) -> Result<OwnedFd, String> {
        match self {
            Self::Port(port) => {
                with_capabilities(&[Capability::CAP_NET_BIND_SERVICE], || KnockSocket::bind(port))
                    .map_err(|error| {
                        let remedy = "`ss -lunp` shows which program has bound it";
                        format!("knockPort: cannot listen on udp/{port}: {error}. {remedy}")
                    })
            }
            Self::Group(group) => sknock_netfilter::nflog::bind_group(group)
                .map_err(|error| format!("nflogGroup: {error}")),
        }
    }
}

/// The number of worker threads.
pub(crate) fn workers(settings: &Settings) -> usize {
    match settings.process.workers {
        0 => thread::available_parallelism().map_or(1, usize::from).min(64),
        some => some.into(),
    }
}
