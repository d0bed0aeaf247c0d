//! Who is connected to this host, and whether that may be the administrator: `$SSH_CONNECTION`, which
//! sudo and su take away, the same of the processes above, and the kernel's list of connections.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A connection to a port at which a program listens, from another host.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Session {
    /// Our port.
    pub port: u16,
    /// Who is connected to it.
    pub from: IpAddr,
}

/// All of this network namespace.
pub(super) fn established() -> io::Result<BTreeSet<Session>> {
    let mut tables = String::new();
    // Not /proc/net, a link to self/net (proc(5)): that is the network namespace of the main thread, and
    // tests have threads in namespaces of their own.
    for file in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
        match fs::read_to_string(file) {
            Ok(table) => tables.push_str(&table),
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !tables.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listed(&tables))
}

/// One line of the kernel's list.
struct TcpLine {
    port: u16,
    peer: IpAddr,
    state: u8,
}

// TCP_ESTABLISHED and TCP_LISTEN in include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;

fn listed(tables: &str) -> BTreeSet<Session> {
    let lines: Vec<TcpLine> = tables.lines().filter_map(line).collect();
    let listening: BTreeSet<u16> =
        lines.iter().filter(|line| line.state == LISTEN).map(|line| line.port).collect();
    let from_others = |line: &&TcpLine| {
        line.state == ESTABLISHED && !line.peer.is_loopback() && listening.contains(&line.port)
    };
    let session = |line: &TcpLine| Session { port: line.port, from: line.peer };
    lines.iter().filter(from_others).map(session).collect()
}

fn line(line: &str) -> Option<TcpLine> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    let (_, port) = local.split_once(':')?;
    let (peer, _) = remote.split_once(':')?;
    let (port, state) = (u16::from_str_radix(port, 16).ok()?, u8::from_str_radix(state, 16).ok()?);
    Some(TcpLine { port, peer: address(peer)?, state })
}

/// Words of four bytes, each as this machine has it in memory.
fn address(digits: &str) -> Option<IpAddr> {
    let word = |place: usize| {
        let digits = digits.get(8 * place..8 * place + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if digits.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let words = [word(0)?, word(1)?, word(2)?, word(3)?];
    let address = Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?);
    // A dual-stack listener has its IPv4 connections in tcp6, with v4-mapped addresses.
    Some(IpAddr::from(address).to_canonical())
}

/// `$SSH_CONNECTION` of the nearest process above this one that has it, if that connection is there: of a
/// session in another network namespace nothing is to be told.
pub(super) fn login(established: &BTreeSet<Session>) -> Option<String> {
    let mut pid = parent("self")?;
    // Deeper than any session; who is their own parent is in no loop.
    for _ in 0..64 {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let variable = environment.split(|byte| *byte == 0).find_map(|variable| {
            std::str::from_utf8(variable.strip_prefix(b"SSH_CONNECTION=")?).ok()
        });
        if let Some(connection) = variable {
            return Some(connection.to_owned()).filter(|connection| {
                session(connection).is_some_and(|one| established.contains(&one))
            });
        }
        pid = parent(&pid)?;
    }
    None
}

/// `client address, port, server address, port`
pub(super) fn session(connection: &str) -> Option<Session> {
    let word = |number| connection.split_whitespace().nth(number);
    let from: IpAddr = word(0)?.parse().ok()?;
    Some(Session { port: word(3)?.parse().ok()?, from: from.to_canonical() })
}

fn parent(process: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim();
    // 0: the parent is in another PID namespace, or this is the first process.
    (parent != "0").then(|| parent.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_others_to_listening_ports_are_listed() {
        let v4 = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let (any, host, peer) = (v4([0; 4]), v4([192, 0, 2, 1]), v4([198, 51, 100, 7]));
        let (mapped, local) = (v4([0, 0, 255, 255]), v4([127, 0, 0, 1]));
        let mapped = format!("{:016}{mapped}{peer}", 0);
        let table = format!(
            "  sl  local_address rem_address   st
   0: {any}:0016 {any}:0000 0A
   1: {host}:0016 {peer}:C350 01
   2: {local}:0016 {local}:C351 01
   3: {host}:C352 {peer}:01BB 01
   4: {host}:0016 {peer}:C353 06
   5: {:032}:01BB {:032}:0000 0A
   6: {mapped}:01BB {mapped}:C350 01
   7: odd",
            0, 0
        );
        let from = "198.51.100.7".parse().unwrap();
        let found: Vec<Session> = listed(&table).into_iter().collect();
        assert_eq!(found, [Session { port: 22, from }, Session { port: 443, from }]);
    }

    #[test]
    fn what_ssh_says_of_a_connection_is_read() {
        let read = session("2001:db8::7 50000 2001:db8::1 22").unwrap();
        assert_eq!((read.port, read.from), (22, "2001:db8::7".parse().unwrap()));
        assert_eq!(session("::ffff:192.0.2.7 5 ::1 22").unwrap().from.to_string(), "192.0.2.7");
        assert_eq!(session("192.0.2.7 50000"), None);
    }
}
