//! Connections that last: TCP that is spoken through, UDP that is fed from both ends all the time.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::netns::{Net, once_free};
use crate::reach::{connect, listen};

/// So long nothing must come to count as nothing; a TCP says things again after 0.2 s.
const SILENCE: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(10);

/// Both ends of a TCP connection.
pub(crate) struct Talk {
    near: TcpStream,
    far: TcpStream,
}

impl Talk {
    /// From `client` to a port of `host`.
    pub(crate) fn begin(client: &Net, host: &Net, address: &str, port: u16) -> Self {
        Self::through(client, (address, port), host, port)
    }

    /// From `client` to where `to` leads.
    pub(crate) fn through(client: &Net, to: (&str, u16), server: &Net, port: u16) -> Self {
        let listener = listen(server, port);
        let near = connect(client, to.0, to.1).unwrap();
        let talk = Self { near, far: listener.accept().unwrap().0 };
        talk.must_pass();
        talk
    }

    /// Of these two ends.
    pub(crate) fn of(near: TcpStream, far: TcpStream) -> Self {
        Self { near, far }
    }

    pub(crate) fn must_pass(&self) {
        for (one, other) in [(&self.near, &self.far), (&self.far, &self.near)] {
            (&*one).write_all(b"still here").unwrap();
            other.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut heard = [0; 10];
            (&*other).read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"still here");
        }
    }

    /// Nothing comes through, from either end, or the connection is reset.
    pub(crate) fn must_be_dead(&self) {
        // The server first: its words must not bring the connection back.
        for end in [&self.far, &self.near] {
            // An error says the same.
            let _ = (&*end).write_all(b"anybody?");
        }
        for end in [&self.near, &self.far] {
            end.set_read_timeout(Some(SILENCE)).unwrap();
            match uninterrupted(|| (&*end).read(&mut [0; 64])) {
                Ok(length) => assert_eq!(length, 0, "something came through"),
                Err(error) => assert!(
                    [ErrorKind::WouldBlock, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe]
                        .contains(&error.kind()),
                    "{error}"
                ),
            }
        }
    }
}

/// Both ends of a UDP flow. The server sends to where the client was, whatever it hears.
pub(crate) struct Flow {
    near: UdpSocket,
    far: UdpSocket,
    client: std::net::SocketAddr,
}

impl Flow {
    /// From `client` to a port of `host`.
    pub(crate) fn begin(client: &Net, host: &Net, address: &str, port: u16) -> Self {
        Self::through(client, (address, port), host, port)
    }

    /// From `client` to where `to` leads.
    pub(crate) fn through(client: &Net, to: (&str, u16), server: &Net, port: u16) -> Self {
        let any = if to.0.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
        let (near, far) =
            (client.inside(|| UdpSocket::bind(any).unwrap()), bound(server, to.0, port));
        near.connect(to).unwrap();
        near.send(b"first").unwrap();
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        let (_, client) = far.recv_from(&mut [0; 64]).unwrap();
        Self { near, far, client }
    }

    /// Each end says something and hears the other.
    pub(crate) fn must_pass(&self) {
        self.far.send_to(b"down", self.client).unwrap();
        self.near.send(b"up").unwrap();
        let mut heard = [0; 64];
        for (socket, said) in [(&self.near, &b"down"[..]), (&self.far, b"up")] {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let length = uninterrupted(|| socket.recv(&mut heard)).unwrap();
            assert_eq!(&heard[..length], said);
        }
    }

    /// What the server says is lost, until the client says something.
    pub(crate) fn must_begin_again(&self) {
        let mut heard = [0; 64];
        self.far.send_to(b"lost", self.client).unwrap();
        self.near.set_read_timeout(Some(SILENCE)).unwrap();
        let lost = uninterrupted(|| self.near.recv(&mut heard));
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::WouldBlock);
        self.near.send(b"up").unwrap();
        self.far.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(uninterrupted(|| self.far.recv(&mut heard)).unwrap(), 2);
    }

    /// Fed from both ends, server first, it passes nothing.
    pub(crate) fn must_be_dead(&self) {
        for _ in 0..10 {
            // The kernel may say that it was refused.
            let _ = self.far.send_to(b"down", self.client);
            let _ = self.near.send(b"up");
        }
        let mut heard = [0; 64];
        for socket in [&self.near, &self.far] {
            socket.set_read_timeout(Some(SILENCE)).unwrap();
            // Refusals come first, one for each time; then nothing.
            let end = std::iter::repeat_with(|| uninterrupted(|| socket.recv(&mut heard)))
                .find(|heard| !matches!(heard, Err(error) if error.kind() == ErrorKind::ConnectionRefused));
            let Some(Err(error)) = end else { panic!("something came through: {end:?}") };
            assert!(
                [ErrorKind::WouldBlock, ErrorKind::PermissionDenied].contains(&error.kind()),
                "{error}"
            );
        }
    }
}

/// One family each, so that there can be one of both.
fn bound(server: &Net, address: &str, port: u16) -> UdpSocket {
    let any = if address.contains(':') { address } else { "0.0.0.0" };
    server.inside(|| once_free(|| UdpSocket::bind((any, port))))
}

/// A timeout does not go on by itself after a signal, as it does without one.
fn uninterrupted(mut call: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
