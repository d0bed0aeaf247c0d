//! The result of a knock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sknock_protocol::Service;

/// The result of a knock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenPort {
    /// The address of the host that received the knock, and for which the grant is.
    pub destination: IpAddr,
    /// The requested services; empty means all that our certificate allows.
    pub services: Vec<Service>,
    /// How the client knows that access was granted.
    pub verified: Verified,
    /// The server's answer, if it arrived.
    pub granted: Option<Granted>,
}

/// How a client knows that access was granted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verified {
    /// The server answered; for single TCP ports a connection succeeded too, unless it would have ended the
    /// grant.
    Answer,
    /// No answer arrived, but a TCP connection to the first single port succeeded: the answer was lost, or
    /// the port is not protected.
    Connection,
    /// Unknown: verification was disabled.
    No,
}

/// A server's answer, authenticated and to this knock.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Granted {
    /// Duration of the grant in seconds, from the answer on.
    pub seconds: u16,
    /// Whether it is shorter than requested.
    pub clipped: bool,
    /// Our address and port as the server sees them: behind a NAT, the public ones.
    pub observed: SocketAddr,
    /// The server's clock minus ours, in milliseconds; exact to half of `took`. Servers refuse
    /// knocks whose clock is off by more than some seconds (7 by default).
    pub clock_skew_ms: i64,
    /// The time from sending the knock to its answer.
    pub took: Duration,
}

/// One address that did not confirm a knock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tried {
    /// The destination.
    pub destination: IpAddr,
    /// The signed address; `None` if it was left to the packet's source.
    pub claimed: Option<IpAddr>,
}
