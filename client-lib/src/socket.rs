//! The UDP socket of a knock.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A socket that speaks with this destination only; its own address is the one on the way there.
pub(crate) fn to(destination: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    allow_fragments(&socket, destination);
    socket.connect(destination)?;
    Ok(socket)
}

/// Sends one datagram. A signal that the program handles does not keep it from being sent.
pub(crate) fn send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    loop {
        match socket.send(datagram) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(|_| ()),
        }
    }
}

/// Lets routers divide a knock that does not fit into a link. Linux sets "do not fragment" on what the host
/// sends, so that a router behind a narrower link drops it, and its message may never arrive. Other systems
/// do not, for UDP. IPv6 needs nothing: every link carries 1280 bytes, and a knock has fewer.
#[cfg(target_os = "linux")]
fn allow_fragments(socket: &UdpSocket, destination: SocketAddr) {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
    if destination.is_ipv4() {
        // Without it, most paths carry a knock all the same.
        let _: rustix::io::Result<()> = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::OMIT);
    }
}

#[cfg(not(target_os = "linux"))]
fn allow_fragments(_: &UdpSocket, _: SocketAddr) {}
