//! Which UDP sockets this host has, as `/proc/net` lists them: whoever has the port that an answer is to
//! leave from silences it.

use std::fs;
use std::io;
use std::net::SocketAddr;

use crate::seed::address;

/// A UDP socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bound {
    /// Where; an unspecified address is all of them.
    pub local: SocketAddr,
    /// Of which user.
    pub uid: u32,
    /// By which `ss -e` and `/proc/PID/fd` name it.
    pub inode: u64,
}

impl Bound {
    /// Every UDP socket of the calling thread's network namespace with one of these ports; those that
    /// serve the host itself only, at a loopback address, are left out.
    ///
    /// # Errors
    ///
    /// The lists cannot be read.
    pub fn list(ports: impl Fn(u16) -> bool) -> io::Result<Vec<Self>> {
        let four = fs::read_to_string("/proc/thread-self/net/udp")?;
        // Without IPv6 there is none.
        let six = fs::read_to_string("/proc/thread-self/net/udp6").unwrap_or_default();
        let all = four.lines().chain(six.lines()).filter_map(read);
        Ok(all.filter(|one| ports(one.local.port()) && !one.local.ip().is_loopback()).collect())
    }
}

/// Reads a line, `sl local_address rem_address st queues timer retransmits uid timeout inode ...`.
fn read(line: &str) -> Option<Bound> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = address(fields.next()?)?;
    let uid = fields.nth(5)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Bound { local, uid, inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let line = " 2017: 0100000A:F388 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 26310 2 0000000000000000 0";
        let local = "10.0.0.1:62344".parse().unwrap();
        assert_eq!(read(line), Some(Bound { local, uid: 1000, inode: 26_310 }));
        assert_eq!(
            read("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when"),
            None
        );
        assert_eq!(read("1: 0100000A:F388 00000000:0000 07"), None);
    }

    #[test]
    fn a_socket_of_this_process_is_found() {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = Bound::list(|one| one == port).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].local.port(), found[0].uid), (port, nix::unistd::geteuid().as_raw()));
        let local = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = local.local_addr().unwrap().port();
        assert_eq!(Bound::list(|one| one == port).unwrap(), []);
    }
}
