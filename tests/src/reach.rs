//! Reachability, with real packets to the services of [`Echo`](crate::Echo).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::Namespace;
use crate::wait::{LIMIT, uninterrupted};

/// The state of a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// The service answered.
    Open,
    /// A reset or "port unreachable", as from a port where nothing listens.
    Refused,
    /// Nothing came back.
    Silent,
}

/// The results of client and stranger, each over IPv4 and over IPv6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// By the client.
    pub client: [Found; 2],
    /// By the stranger.
    pub stranger: [Found; 2],
}

impl Seen {
    /// The same in both families.
    pub fn each(client: Found, stranger: Found) -> Self {
        Self { client: [client; 2], stranger: [stranger; 2] }
    }
}

/// How long nothing must come back to count as silence: on one machine packets take microseconds,
/// and a kernel repeats a SYN only after a second.
const SILENCE: Duration = Duration::from_millis(500);

/// Connects from `from`, once.
pub fn connect(from: &Namespace, to: SocketAddr) -> io::Result<TcpStream> {
    from.inside(|| TcpStream::connect_timeout(&to, SILENCE))
}

/// Sends something through a connection to an echo, and reads it back.
pub fn converse(stream: &TcpStream) -> io::Result<()> {
    converse_within(stream, LIMIT)
}

fn converse_within(mut stream: &TcpStream, patience: Duration) -> io::Result<()> {
    let words = b"is anybody there?";
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(words)?;
    let mut heard = [0; 17];
    stream.read_exact(&mut heard)?;
    if heard == *words { Ok(()) } else { Err(io::Error::other("the echo said something else")) }
}

/// An echo takes microseconds, on a busy machine more.
const CUT: Duration = Duration::from_secs(5);

/// The state of a TCP port as seen by `from`. Tried again if a grant ends during the test, which terminates
/// the connection.
#[track_caller]
pub fn tcp(from: &Namespace, to: SocketAddr) -> Found {
    match connect(from, to) {
        Ok(stream) if converse_within(&stream, CUT).is_ok() => Found::Open,
        Ok(_) => look(from, to),
        // The handshake was complete, and its connection ended before `connect` had returned.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => look(from, to),
        Err(error) => closed(to, &error),
    }
}

#[track_caller]
fn look(from: &Namespace, to: SocketAddr) -> Found {
    match connect(from, to) {
        Ok(stream) => {
            converse(&stream).unwrap_or_else(|error| panic!("{to} is open, but: {error}"));
            Found::Open
        }
        Err(error) => closed(to, &error),
    }
}

#[track_caller]
fn closed(to: SocketAddr, error: &io::Error) -> Found {
    if error.kind() == ErrorKind::ConnectionRefused {
        return Found::Refused;
    }
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{to}: {error}");
    Found::Silent
}

/// What `from` finds at a UDP port, from a socket of its own.
#[track_caller]
pub fn udp(from: &Namespace, to: SocketAddr) -> Found {
    let socket = udp_socket(from, to).unwrap_or_else(|error| panic!("{to}: {error}"));
    converse_udp(&socket)
}

/// A UDP socket of `from`, connected to `to`, with a port that no earlier one of this process had.
pub fn udp_socket(from: &Namespace, to: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = from.inside(|| {
        loop {
            match UdpSocket::bind((any, source_port())) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => (),
                bound => return bound,
            }
        }
    })?;
    socket.connect(to)?;
    Ok(socket)
}

/// The kernel would soon give a closed socket's port to the next one, and tests find a datagram's line in the
/// server's log by its source. The ports lie below those that the kernel gives by itself.
fn source_port() -> u16 {
    static USED: AtomicU16 = AtomicU16::new(0);
    10_240 + USED.fetch_add(1, Ordering::Relaxed) % 22_528
}

/// Sends a datagram to an echo service, and returns the result.
pub fn converse_udp(socket: &UdpSocket) -> Found {
    let words = b"is anybody there?";
    let mut heard = [0; 32];
    let said = socket
        .set_read_timeout(Some(SILENCE))
        .and_then(|()| socket.send(words))
        .and_then(|_| uninterrupted(|| socket.recv(&mut heard)));
    match said {
        Ok(length) => {
            assert_eq!(&heard[..length], words);
            Found::Open
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Found::Refused,
        Err(error) => {
            let silent = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
            assert!(silent.contains(&error.kind()), "{error}");
            Found::Silent
        }
    }
}
