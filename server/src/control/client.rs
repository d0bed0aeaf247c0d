//! The command line's side: one request, one answer, within a time.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use sknock_gate::{Firewall, NamespaceLock, NamespaceLockError};

use super::SOCKET;
use super::messages::{ControlRequest, ControlResponse, Mistake};
use crate::sys::exit::{FAILURE, UNAVAILABLE, UNCONFIRMED};

/// How long the server may take: it answers between knocks, and may have a million grants to close.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The same for a reload. The server gives its new network process 180 s, and the one of a reload before it, too.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(400);

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Sends a request to the server of this network namespace, and waits for the answer.
pub fn ask(request: ControlRequest) -> Result<ControlResponse, ControlError> {
    let patience = match request {
        ControlRequest::Reload { .. } => RELOAD_TIMEOUT,
        _ => ANSWER_TIMEOUT,
    };
    let folder = Path::new(NamespaceLock::DIRECTORY);
    let path = NamespaceLock::path(folder, SOCKET)?;
    let server = match connected(&path, patience) {
        Ok(server) => server,
        // ECONNREFUSED: the socket file of a server that was killed (connect(2)).
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => return Err(no_listener(folder)),
        Err(Errno::EACCES | Errno::EPERM) => return Err(ControlError::NotAllowed),
        Err(errno) => return Err(ControlError::Silent(errno.into())),
    };
    match exchange(server, request).map_err(ControlError::Silent)? {
        ControlResponse::Stopping => Err(ControlError::Stopping),
        ControlResponse::Mistake(Mistake::NotAllowed) => Err(ControlError::NotAllowed),
        ControlResponse::Mistake(mistake) => Err(ControlError::Mistake(mistake)),
        response => Ok(response),
    }
}

/// Confirms the trial.
pub fn confirm() -> Result<(), ControlError> {
    match ask(ControlRequest::Confirm)? {
        ControlResponse::Confirmed => Ok(()),
        ControlResponse::NothingOnTrial => Err(ControlError::NothingOnTrial),
        ControlResponse::TooLate => Err(ControlError::TooLate),
        ControlResponse::NotConfirmed { why } => Err(ControlError::NotConfirmed(why)),
        other => Err(ControlError::unexpected(&other)),
    }
}

/// Reloads the server; with `trial`, in a trial of that length. The answer is
/// [`ControlResponse::Reloaded`] or [`ControlResponse::OnTrial`].
pub fn reload(trial: Option<Duration>) -> Result<ControlResponse, ControlError> {
    let seconds = |span: Duration| u16::try_from(span.as_secs()).unwrap_or(u16::MAX);
    match ask(ControlRequest::Reload { confirm_seconds: trial.map(seconds) })? {
        done @ (ControlResponse::Reloaded(_) | ControlResponse::OnTrial { .. }) => Ok(done),
        ControlResponse::NotReloaded { problems } => Err(ControlError::NotReloaded(problems)),
        other => Err(ControlError::unexpected(&other)),
    }
}

/// It takes up to `patience` to connect, too: a server that stands still has a queue that gets full.
fn connected(path: &Path, patience: Duration) -> nix::Result<UnixStream> {
    // Not `UnixStream::connect`, which has no time limit.
    let socket: OwnedFd =
        socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let patience = TimeVal::seconds(i64::try_from(patience.as_secs()).unwrap_or(i64::MAX));
    // Also for connect(2): unix_stream_connect waits up to SO_SNDTIMEO for a place in a full backlog.
    setsockopt(&socket, sockopt::SendTimeout, &patience)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &patience)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

fn exchange(mut server: UnixStream, request: ControlRequest) -> io::Result<ControlResponse> {
    // It may have refused us already, and said so.
    let sent = server.write_all(&request.line()?);
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !answer.ends_with(b"\n") {
        let read = match (&mut server).take(MAX_ANSWER - answer.len() as u64).read(&mut part) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            sent?;
            return Err(io::Error::other(
                "the connection ended before the answer. See the log of the server",
            ));
        }
        answer.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    Ok(ControlResponse::read(&answer)?)
}

/// Nothing is on trial for long once the server has ended: the kernel says what is left.
fn no_listener(folder: &Path) -> ControlError {
    if let Ok(Some(server)) = NamespaceLock::owner_pid(folder) {
        let gone = format!("process {server} has no control socket. Restart it");
        return ControlError::Silent(io::Error::other(gone));
    }
    let left = Firewall::open().and_then(|mut firewall| firewall.trial());
    ControlError::NoServer { left: left.ok().flatten() }
}

/// Why a command for the server failed.
#[derive(Debug)]
pub enum ControlError {
    /// No server runs in this network namespace.
    NoServer {
        /// Remaining time of a trial that a server began before it ended.
        left: Option<Duration>,
    },
    /// The server is stopping.
    Stopping,
    /// Only root, the user of the server and the group may use the socket.
    NotAllowed,
    /// No trial is active.
    NothingOnTrial,
    /// The trial had expired.
    TooLate,
    /// The kernel refused the confirmation.
    NotConfirmed(String),
    /// The previous configuration stays in force, for these reasons.
    NotReloaded(Vec<String>),
    /// A server runs, but did not answer, or could not be reached.
    Silent(io::Error),
    /// The server refused the request.
    Mistake(Mistake),
    /// The answer does not fit the request.
    Unexpected(String),
    /// The search for the server failed.
    Lock(NamespaceLockError),
}

impl ControlError {
    /// What the program ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoServer { .. } | Self::Stopping | Self::Lock(_) => UNAVAILABLE,
            Self::TooLate => UNCONFIRMED,
            _ => FAILURE,
        }
    }

    pub(crate) fn unexpected(response: &ControlResponse) -> Self {
        Self::Unexpected(format!("{response:?}"))
    }
}

impl From<NamespaceLockError> for ControlError {
    fn from(error: NamespaceLockError) -> Self {
        Self::Lock(error)
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer { left } => {
                f.write_str("no sknockd runs in this network namespace. Start it first")?;
                match left {
                    Some(left) if !left.is_zero() => write!(
                        f,
                        ". The trial of a server that has ended expires in {} s",
                        left.as_secs() + 1
                    ),
                    _ => Ok(()),
                }
            }
            Self::Stopping => f.write_str(
                "nothing was done: the server is stopping. Start it, then run this command again",
            ),
            Self::NotAllowed => Mistake::NotAllowed.fmt(f),
            Self::NothingOnTrial => f.write_str(
                "nothing to confirm: no trial is active. If one was, it has been confirmed already",
            ),
            Self::TooLate => f.write_str(
                "not confirmed: the trial has expired, and its rules are rolled back. See the log of \
                 the server",
            ),
            Self::NotConfirmed(why) => {
                write!(f, "not confirmed: {why}. The trial continues; run `sknockd confirm` again")
            }
            Self::NotReloaded(problems) => {
                f.write_str("not reloaded. The previous configuration stays in force:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n{problem}"))
            }
            Self::Silent(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    f.write_str("no answer from the server in time. See its log")
                }
                _ => write!(f, "no answer from the server: {error}"),
            },
            Self::Mistake(mistake) => mistake.fmt(f),
            Self::Unexpected(answer) => write!(
                f,
                "unexpected answer of the server: {answer}. Restart the server after an upgrade"
            ),
            Self::Lock(error) => error.fmt(f),
        }
    }
}
