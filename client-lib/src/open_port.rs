//! What a knock achieved.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sknock_protocol::Service;

/// A door that was asked for, and what is known about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenPort {
    /// The address of the host that was knocked on; the door is open on this one.
    pub destination: IpAddr,
    /// What was asked for; empty means everything that our certificate allows.
    pub services: Vec<Service>,
    /// How sure it is.
    pub verified: Verified,
    /// What the server said, if its answer arrived.
    pub granted: Option<Granted>,
}

/// How a client knows that the door is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verified {
    /// The server said so; for single TCP ports a connection succeeded too, unless that would have
    /// used the door up.
    Answer,
    /// No answer arrived, but a TCP connection to the first single port succeeded: the answer was lost, or
    /// nothing protects the port.
    Connection,
    /// It does not: verification was not wanted.
    No,
}

/// A server's answer: genuine, and to this very knock.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Granted {
    /// For how many seconds the door is open, from the answer on.
    pub seconds: u16,
    /// Whether that is less than was asked for.
    pub clipped: bool,
    /// Our address and port as the server sees them: behind a NAT, the public ones.
    pub observed: SocketAddr,
    /// The server's clock minus ours, in milliseconds; exact to half of `took`. Servers refuse
    /// knocks whose clock is off by more than some seconds (7 by default).
    pub clock_skew_ms: i64,
    /// From sending the knock to its answer.
    pub took: Duration,
}

/// One address that was knocked on in vain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tried {
    /// Where to.
    pub destination: IpAddr,
    /// The address that was signed; `None` if it was left to the packet's source.
    pub claimed: Option<IpAddr>,
}
