//! Which addresses are this host's own. The kernel is asked, as it decides where a connection goes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Whether a connection to `address` would stay on this host: from here to there the kernel takes the
/// same address at both ends. Nothing is sent. It does not know a whole network that somebody has routed
/// to this host (`ip route add local`).
pub(super) fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let reached_from = || {
        let socket = UdpSocket::bind((any, 0))?;
        // The port does not matter, as long as there is one.
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    };
    reached_from().is_ok_and(|from| from.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_known_at_all_its_addresses() {
        for own in ["127.0.0.1", "::1"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "2001:db8::1"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }
}
