//! What `sknockd close` asks of the server that runs, and what that answers: one datagram each, in JSON,
//! over a socket beside the server's claim. Only root and the server's user can send to it.

use std::io;
use std::net::IpAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sknock_gate::{ClosedGrant, GrantLabel, NamespaceLock};

use crate::audit::hex;
use crate::grants::GrantFilter;

/// The extension of the socket's name.
pub(crate) const SOCKET: &str = "close";

/// The largest datagram, in bytes.
pub(crate) const MAX_SIZE: usize = 1 << 16;

/// So many grants are told one by one: 300 bytes each.
const SHOWN: usize = 150;

/// How long the server may take: it answers between knocks, and may have a million grants to close.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server has closed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Answered {
    closed: Vec<One>,
    /// How many were open, and how many had ended by themselves.
    pub(crate) open: usize,
    pub(crate) ended: usize,
    /// How many connections were ended.
    pub(crate) connections: usize,
    /// What could not be done.
    pub(crate) failed: Option<String>,
}

/// One that was closed.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct One {
    service: String,
    address: IpAddr,
    name: String,
    serial: String,
    knock: String,
    open: bool,
    cut: bool,
}

impl Answered {
    /// These, and so many connections.
    pub(crate) fn of(closed: &[ClosedGrant], connections: usize) -> Self {
        let open = closed.iter().filter(|one| one.was_open).count();
        let ended = closed.len() - open;
        let closed = closed.iter().take(SHOWN).map(One::of).collect();
        Self { closed, open, ended, connections, failed: None }
    }

    /// How many that was, in one line.
    pub(crate) fn summary(&self) -> String {
        let Self { open, ended, connections, .. } = self;
        format!(
            "closed: {open}; had ended by themselves: {ended}; connections ended: {connections}"
        )
    }

    /// Nothing was closed, or not all.
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self { failed: Some(error.to_string()), ..Self::default() }
    }
}

impl One {
    fn of(closed: &ClosedGrant) -> Self {
        let ClosedGrant { flow, label: GrantLabel { knock, cert, name }, was_open, cut } = closed;
        Self {
            service: format!("{}/{}", flow.transport, flow.port),
            address: flow.address,
            name: name.to_string(),
            serial: cert.serial_text(),
            knock: hex(knock),
            open: *was_open,
            cut: *cut,
        }
    }
}

/// What came of asking.
#[derive(Clone, Debug)]
pub enum CloseAttempt {
    /// No server runs in this network namespace.
    NoServer,
    /// One runs, and could not be asked, or did not answer.
    Silent(String),
    /// It has answered.
    Answered(Answered),
}

/// Has the server close what is true of `which`, if one runs.
pub(crate) fn ask(which: &GrantFilter) -> CloseAttempt {
    let folder = Path::new(NamespaceLock::DIRECTORY);
    if !NamespaceLock::owner_pid(folder).is_ok_and(|holder| holder.is_some()) {
        return CloseAttempt::NoServer;
    }
    let socket = NamespaceLock::path(folder, SOCKET).map_err(io::Error::other);
    match socket.and_then(|socket| exchange(which, &socket)) {
        Ok(answered) => CloseAttempt::Answered(answered),
        Err(error) => CloseAttempt::Silent(error.to_string()),
    }
}

fn exchange(which: &GrantFilter, server: &Path) -> io::Result<Answered> {
    let name = format!("sknockd-close-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&serde_json::to_vec(which)?)?;
    let mut answer = vec![0; MAX_SIZE];
    let length = socket.recv(&mut answer)?;
    Ok(serde_json::from_slice(answer.get(..length).unwrap_or_default())?)
}

impl std::fmt::Display for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for One { service, address, name, serial, knock, open, cut } in &self.closed {
            let was = if *open { "closed" } else { "had ended" };
            let then = if *cut { "connections are ended" } else { "connections go on" };
            write!(f, "{service} from {address}  {name} serial={serial} knock={knock}: ")?;
            writeln!(f, "{was}; {then}")?;
        }
        match (self.open + self.ended).saturating_sub(self.closed.len()) {
            0 => {}
            more => writeln!(f, "and {more} more")?,
        }
        f.write_str(&self.summary())
    }
}
