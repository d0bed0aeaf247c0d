//! The control socket of the server: permitted peers, and limits for each.
//!
//! It is part of the privileged process's loop. Nothing here waits: a peer that is silent, slow or sends
//! without end costs one of a few places for some seconds, and the loop at most one request in a round.

mod connection;

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::{Gid, Group, geteuid};
use sknock_gate::{BootInstant, NamespaceLock};
use tracing::warn;

use self::connection::ControlConnection;
use super::messages::{ControlRequest, ControlResponse, Mistake};
use super::peer::{ControlAccess, Peer};
use super::requester::Requester;
use super::{GROUP, SOCKET};
use crate::sys::log::RateLimit;

/// Connections at a time: of all users, of all but root together, and of one user other than root. A member of the
/// group may have thousands of user numbers (`/etc/subuid`), so that places for root are kept from all of them.
const MAX_CONNECTIONS: usize = 32;
const MAX_OF_OTHERS: usize = 24;
const MAX_OF_USER: usize = 8;

/// Connections that are taken or refused in one round.
const MAX_ACCEPTED: usize = 16;

/// The socket, and its connections.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    access: ControlAccess,
    connections: Vec<ControlConnection>,
    /// Whether the next wait does not ask for new connections.
    is_paused: bool,
    /// Whose turn it is.
    turn: usize,
    /// How often the log reports a refused peer.
    refusals: RateLimit,
}

/// The connection that an answer goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Asker {
    number: u64,
    pub(crate) by: Requester,
}

#[cfg(test)]
impl Asker {
    pub(crate) fn numbered(number: u64, by: Requester) -> Self {
        Self { number, by }
    }
}

impl ControlSocket {
    /// Opens it beside the lock, in place of what an earlier run has left. Only root and the server's user
    /// can connect, and members of [`GROUP`], if there is such a group and we may give the socket to it.
    pub(crate) fn open(lock: &NamespaceLock) -> io::Result<Self> {
        let path = lock.sibling(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        // Connections inherit it before anything can be sent over them to us.
        setsockopt(&listener, sockopt::PassCred, &true)?;
        listener.set_nonblocking(true)?;
        let group = Group::from_name(GROUP).ok().flatten().map(|group| group.gid);
        let group = group.filter(|group| give_to(&path, *group));
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        // Between bind(2) and here the umask decides which users can connect; `admit` refuses those without
        // permission.
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        let access = ControlAccess { owner: geteuid(), group };
        let refusals = RateLimit::of(1);
        Ok(Self { listener, access, connections: Vec::new(), is_paused: false, turn: 0, refusals })
    }

    /// What wakes the loop up.
    pub(crate) fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        let listener = PollFd::new(self.listener.as_fd(), PollFlags::POLLIN);
        let listener = (!self.is_paused).then_some(listener);
        listener.into_iter().chain(self.connections.iter().filter_map(ControlConnection::polled))
    }

    /// Whether something waits that came in an earlier round: no event tells of it.
    pub(crate) fn is_due(&self) -> bool {
        self.connections.iter().any(ControlConnection::is_due)
    }

    /// Takes new connections, reads, sends what is left of answers, and ends what takes too long. Processes
    /// with a number in `networks` are refused, unless they are root's.
    pub(crate) fn turn(&mut self, networks: &[u32], now: BootInstant) {
        self.is_paused = false;
        for _ in 0..MAX_ACCEPTED {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream, networks, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // EMFILE: accept(2) takes the descriptor before the connection, which stays in the backlog. The
                // listener would end each poll at once, so the next one does not ask for it.
                Err(_) => {
                    self.is_paused = true;
                    break;
                }
            }
        }
        for connection in &mut self.connections {
            connection.proceed(now);
        }
        self.connections.retain(|connection| !connection.is_over(now));
    }

    fn admit(&mut self, stream: UnixStream, networks: &[u32], now: BootInstant) {
        let Ok(peer) = Peer::of(&stream) else { return };
        let mistake = if !self.access.permits(&peer, networks) {
            self.tell_of(&peer, now);
            Some(Mistake::NotAllowed)
        } else if !self.has_place_for(&peer) {
            Some(Mistake::TooManyConnections)
        } else {
            None
        };
        let Ok(mut connection) = ControlConnection::new(stream, peer, now) else { return };
        match mistake {
            None => self.connections.push(connection),
            // The answer is sent only if that is possible at once.
            Some(mistake) => connection.answer(ControlResponse::Mistake(mistake), now),
        }
    }

    fn has_place_for(&self, peer: &Peer) -> bool {
        let count = |matches: &dyn Fn(&Peer) -> bool| {
            self.connections.iter().filter(|one| matches(one.peer())).count()
        };
        let is_free = self.connections.len() < MAX_CONNECTIONS;
        is_free
            && (peer.uid.is_root()
                || count(&|other| !other.uid.is_root()) < MAX_OF_OTHERS
                    && count(&|other| other.uid == peer.uid) < MAX_OF_USER)
    }

    fn tell_of(&mut self, refused: &Peer, now: BootInstant) {
        let second = now.since(BootInstant::default()).as_secs();
        if let Some(suppressed) = self.refusals.permit(second) {
            let (uid, pid) = (refused.uid.as_raw(), refused.pid.as_raw());
            warn!(
                uid,
                pid,
                suppressed,
                "control: not allowed. Only root, the user of sknockd and group sknock-admin may ask"
            );
        }
    }

    /// The next request, if there is one. Each connection has its turn; what is no request is answered here.
    pub(crate) fn next(&mut self, now: BootInstant) -> Option<(Asker, ControlRequest)> {
        let count = self.connections.len();
        let turn = self.turn;
        for place in (0..count).map(|step| (turn + step) % count) {
            let connection = self.connections.get_mut(place)?;
            if let Some(request) = connection.next(now) {
                self.turn = place + 1;
                return Some((connection.asker(), request));
            }
        }
        None
    }

    /// Answers a request. If its connection has ended, the answer is dropped.
    pub(crate) fn answer(&mut self, asker: Asker, response: ControlResponse, now: BootInstant) {
        if let Some(asker) = self.connections.iter_mut().find(|one| one.asker() == asker) {
            asker.answer(response, now);
        }
    }

    /// The answer to this request comes later.
    pub(crate) fn defer(&mut self, asker: Asker) {
        if let Some(asker) = self.connections.iter_mut().find(|one| one.asker() == asker) {
            asker.defer();
        }
    }

    /// Answers all whose answer was deferred.
    fn answer_all(&mut self, response: &ControlResponse, now: BootInstant) {
        for one in self.connections.iter_mut().filter(|one| one.is_waiting()) {
            one.answer(response.clone(), now);
        }
    }

    /// Ends all connections. Requests without an answer get these, if they can be sent at once.
    pub(crate) fn close(
        mut self,
        response: impl Fn(&ControlRequest) -> ControlResponse,
        now: BootInstant,
    ) {
        // Without the network processes' numbers: from here on a request gets `response`, of every sender,
        // and has no effect.
        self.turn(&[], now);
        self.answer_all(&ControlResponse::Stopping, now);
        for connection in &mut self.connections {
            while let Some(request) = connection.next(now) {
                connection.answer(response(&request), now);
            }
        }
    }
}

/// Gives the socket to this group; the log says if that cannot be.
fn give_to(socket: &Path, group: Gid) -> bool {
    let given = chown(socket, None, Some(group.as_raw()));
    if let Err(error) = &given {
        warn!(
            "members of the group {GROUP} cannot use the control socket: {error}. Make the user of sknockd a \
             member"
        );
    }
    given.is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use nix::unistd::Uid;

    use super::*;

    const UID: u32 = 65_534;

    /// Asks, by a process of that user, and prints the answer.
    fn asks(socket: &Path) -> Child {
        let program = "$s = IO::Socket::UNIX->new($ARGV[0]) or die; print $s $ARGV[1], qq(\\n); print scalar <$s>";
        let user = UID.to_string();
        Command::new("setpriv")
            .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
            .args(["perl", "-MIO::Socket::UNIX", "-e", program])
            .arg(socket)
            .arg(r#"{"version":1,"request":"confirm"}"#)
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests run as root; perl is on every Debian")
    }

    /// As a unit both processes have one user.
    #[test]
    fn a_network_process_is_refused_though_it_has_the_servers_user() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        setsockopt(&listener, sockopt::PassCred, &true).unwrap();
        listener.set_nonblocking(true).unwrap();
        let access = ControlAccess { owner: Uid::from_raw(UID), group: None };
        let refusals = RateLimit::of(1);
        let mut control = ControlSocket {
            listener,
            access,
            connections: Vec::new(),
            is_paused: false,
            turn: 0,
            refusals,
        };
        let now = BootInstant::default();
        for is_network in [false, true] {
            let mut child = asks(&path);
            let networks = if is_network { vec![7, child.id()] } else { vec![7] };
            while child.try_wait().unwrap().is_none() {
                control.turn(&networks, now);
                if let Some((asker, request)) = control.next(now) {
                    assert!(!is_network && matches!(request, ControlRequest::Confirm));
                    control.answer(asker, ControlResponse::Confirmed, now);
                }
            }
            let output = child.wait_with_output().unwrap();
            let answer = String::from_utf8(output.stdout).unwrap();
            let expected = if is_network { "not_allowed" } else { "confirmed" };
            assert!(answer.contains(expected), "{answer}");
        }
    }
}
