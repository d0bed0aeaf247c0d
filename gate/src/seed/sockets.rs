//! Which TCP connections this host has, as `/proc/net` lists them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::HostConnection;

/// The lists of one network namespace: that of the thread that opened them.
#[derive(Debug)]
pub(crate) struct Sockets(Vec<File>);

impl Sockets {
    /// Opens what there is: without IPv6 there is no `tcp6`.
    pub(crate) fn open() -> Self {
        let lists = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
        Self(lists.iter().filter_map(|list| File::open(list).ok()).collect())
    }

    /// Every established connection, but those of the host to itself.
    pub(super) fn established(&mut self) -> std::io::Result<Vec<HostConnection>> {
        let known = |(connection, state)| (state == ESTABLISHED).then_some(connection);
        Ok(self.text()?.lines().filter_map(read).filter_map(known).collect())
    }

    /// Every connection to a port that somebody listens at, in any state in which bytes may still pass.
    pub(super) fn established_to_listeners(&mut self) -> std::io::Result<Vec<HostConnection>> {
        let text = self.text()?;
        let ports: BTreeSet<u16> = text.lines().filter_map(listener).collect();
        let served = |(connection, state): (HostConnection, &str)| {
            let passing =
                !CLOSED_STATES.contains(&state) && ports.contains(&connection.local.port());
            passing.then_some(connection)
        };
        Ok(text.lines().filter_map(read).filter_map(served).collect())
    }

    fn text(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        for list in &mut self.0 {
            list.rewind()?;
            list.read_to_string(&mut text)?;
        }
        Ok(text)
    }
}

/// `TCP_ESTABLISHED`.
const ESTABLISHED: &str = "01";

/// `TCP_LISTEN`.
const LISTEN: &str = "0A";
/// `TCP_SYN_SENT`, `TCP_TIME_WAIT`, `TCP_CLOSE`, `TCP_LISTEN`.
const CLOSED_STATES: [&str; 4] = ["02", "06", "07", LISTEN];

/// Reads a line, `sl local_address rem_address st ...`: the connection and its state. Not one of the
/// host to itself.
fn read(line: &str) -> Option<(HostConnection, &str)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let state = fields.next()?;
    (!remote.ip().is_loopback()).then_some((HostConnection { remote, local }, state))
}

/// The port of a line, if somebody listens there.
fn listener(line: &str) -> Option<u16> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = address(fields.next()?)?;
    (fields.nth(1)? == LISTEN).then_some(local.port())
}

/// Reads `0100007F:0016`: words of four bytes in the machine's order, and the port.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let word = |index: usize| {
        let digits = words.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address: IpAddr = match words.len() {
        8 => word(0)?.into(),
        32 => {
            let mut octets = [0; 16];
            for (index, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index)?);
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let four = "   1: 0100000A:0016 0200000A:C350 01 00000000:00000000 00:00000000 00000000 0";
        let expected = HostConnection {
            remote: "10.0.0.2:50000".parse().unwrap(),
            local: "10.0.0.1:22".parse().unwrap(),
        };
        assert_eq!(read(four), Some((expected, ESTABLISHED)));
        let mapped =
            "0: 0000000000000000FFFF00000100000A:0016 0000000000000000FFFF00000200000A:C350 01";
        assert_eq!(read(mapped), Some((expected, ESTABLISHED)));
        let six =
            "0: B80D0120000000000000000001000000:0016 B80D0120000000000000000002000000:C350 01";
        assert_eq!(read(six).unwrap().0.remote, "[2001:db8::2]:50000".parse().unwrap());
    }

    #[test]
    fn a_listener_is_told_from_a_connection() {
        assert_eq!(listener("0: 00000000:0016 00000000:0000 0A"), Some(22));
        assert_eq!(listener("0: 0100000A:0016 0200000A:C350 01"), None);
    }

    #[test]
    fn other_lines_are_not() {
        for line in [
            "",
            "  sl  local_address rem_address   st tx_queue rx_queue",
            "0: 0100007F:0016 0100007F:C350 01",
            "0: 0100000A:0016 0200000A 01",
            "0: é00000A:0016 0200000A:C350 01",
        ] {
            assert_eq!(read(line), None, "{line:?}");
        }
    }
}
