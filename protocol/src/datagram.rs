//! Where every knock begins.

use core::net::SocketAddr;

/// Bytes from the network, and who appears to have sent them.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    source: SocketAddr,
    payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// What intake received. A v4-mapped source becomes the IPv4 address that it is.
    pub fn new(source: SocketAddr, payload: &'a [u8]) -> Self {
        Self { source: SocketAddr::new(source.ip().to_canonical(), source.port()), payload }
    }

    /// Source address and port as seen by the kernel; may be forged.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// The UDP payload, in full.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}
