//! What this host has: its addresses and kinds of interfaces (`rtnetlink`), its TCP connections and its UDP sockets (`/proc/net`).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;

use crate::error::NetfilterError;
use crate::flow::FlowKey;
use crate::message::{MessageBuilder, attributes, ip_address};
use crate::socket::Netlink;
use sknock_types::Transport;

/// `RTM_GETADDR` and `RTM_NEWADDR`.
const GET_ADDRESS: u16 = 22;
const NEW_ADDRESS: u16 = 20;
/// `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;
/// `IFA_ADDRESS`, which on a link between two is the other end's, and `IFA_LOCAL`, which IPv6 does
/// without.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// All addresses of all interfaces: a connection to another one only passes through.
pub fn local_addresses(routes: &mut Netlink) -> Result<BTreeSet<IpAddr>, NetfilterError> {
    let mut own = BTreeSet::new();
    let request = MessageBuilder::to_routes(GET_ADDRESS, &[0; ADDRESS_HEADER]).listing().finish();
    let listed = routes.list(&request, |message| {
        if message.kind == NEW_ADDRESS {
            own.extend(message.body.get(ADDRESS_HEADER..).and_then(own_address));
        }
    });
    listed.map(|()| own).map_err(NetfilterError::while_doing("list the addresses of this host"))
}

/// `RTM_GETLINK` and `RTM_NEWLINK`.
const GET_LINK: u16 = 18;
const NEW_LINK: u16 = 16;
/// `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
/// `IFLA_IFNAME`, `IFLA_LINKINFO`, and in that `IFLA_INFO_KIND`.
const NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const KIND: u16 = 1;

/// The interfaces of this network namespace that have a kind, such as `vxlan` or `veth`: name and kind.
pub fn interface_kinds() -> Result<Vec<(String, String)>, NetfilterError> {
    let failed = || NetfilterError::while_doing("list the interfaces of this host");
    let mut routes = Netlink::to_routes().map_err(failed())?;
    let request = MessageBuilder::to_routes(GET_LINK, &[0; LINK_HEADER]).listing().finish();
    let mut found = Vec::new();
    let listed = routes.list(&request, |message| {
        if message.kind == NEW_LINK {
            found.extend(message.body.get(LINK_HEADER..).and_then(name_and_kind));
        }
    });
    listed.map(|()| found).map_err(failed())
}

fn name_and_kind(body: &[u8]) -> Option<(String, String)> {
    let one = |body, wanted| attributes(body).find(|(kind, _)| *kind == wanted);
    let text = |bytes: &[u8]| {
        // With a zero byte at the end.
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let (_, name) = one(body, NAME)?;
    let (_, kind) = one(one(body, LINK_INFO)?.1, KIND)?;
    Some((text(name), text(kind)))
}

fn own_address(body: &[u8]) -> Option<IpAddr> {
    let one = |wanted| attributes(body).find(|(kind, _)| *kind == wanted);
    let (_, bytes) = one(LOCAL).or_else(|| one(ADDRESS))?;
    ip_address(bytes)
}

/// One TCP connection of this host. Both addresses are of one family, and canonical.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct HostConnection {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// The lists of TCP sockets of one network namespace: that of the thread that opened them.
#[derive(Debug)]
pub struct TcpSockets(Vec<File>);

impl TcpSockets {
    /// Opens what there is: without IPv6 there is no `tcp6`.
    pub fn open() -> Self {
        // `/proc/net` is `/proc/self/net`: the namespace of the process's first thread, which need not be
        // this thread's.
        let lists = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
        Self(lists.iter().filter_map(|list| File::open(list).ok()).collect())
    }

    /// Every established connection, but those of the host to itself.
    pub(crate) fn established(&mut self) -> Result<Vec<HostConnection>, NetfilterError> {
        let known = |(connection, state)| (state == ESTABLISHED).then_some(connection);
        Ok(self.text()?.lines().filter_map(read_tcp).filter_map(known).collect())
    }

    /// Every connection to a port that a program listens at, in any state in which bytes may still pass:
    /// from where to which port, and to which address. Whatever conntrack has seen of it.
    pub fn established_to_listeners(&mut self) -> Result<Vec<(FlowKey, IpAddr)>, NetfilterError> {
        let text = self.text()?;
        let ports: BTreeSet<u16> = text.lines().filter_map(listener).collect();
        let served = |(HostConnection { remote, local }, state): (HostConnection, &str)| {
            let (address, port) = (remote.ip(), local.port());
            let passing = !CLOSED_STATES.contains(&state) && ports.contains(&port);
            let flow = FlowKey { address, transport: Transport::Tcp, port };
            passing.then_some((flow, local.ip()))
        };
        Ok(text.lines().filter_map(read_tcp).filter_map(served).collect())
    }

    fn text(&mut self) -> Result<String, NetfilterError> {
        let mut text = String::new();
        let mut read = |list: &mut File| {
            // The kernel writes the list again when it is read from the beginning.
            list.rewind()?;
            list.read_to_string(&mut text)
        };
        match self.0.iter_mut().try_for_each(|list| read(list).map(drop)) {
            Ok(()) => Ok(text),
            Err(_) => {
                Err(NetfilterError::while_doing("list the connections of this host")(Errno::EIO))
            }
        }
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
fn read_tcp(line: &str) -> Option<(HostConnection, &str)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let state = fields.next()?;
    // The table passes what comes over `lo` from an own address: such a connection needs no conntrack entry.
    (!remote.ip().is_loopback()).then_some((HostConnection { remote, local }, state))
}

/// The port of a line, if a program listens there.
fn listener(line: &str) -> Option<u16> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = address(fields.next()?)?;
    (fields.nth(1)? == LISTEN).then_some(local.port())
}

/// Reads `0100007F:0016`: words of four bytes in the machine's order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
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
    // A socket of both families has its IPv4 peers as ::ffff:a.b.c.d in `tcp6`. Conntrack has them as IPv4.
    Some(SocketAddr::new(address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

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
        let all = four.lines().chain(six.lines()).filter_map(read_udp);
        Ok(all.filter(|one| ports(one.local.port()) && !one.local.ip().is_loopback()).collect())
    }
}

/// Reads a line, `sl local_address rem_address st queues timer retransmits uid timeout inode ...`.
fn read_udp(line: &str) -> Option<Bound> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = address(fields.next()?)?;
    // Past `rem_address st queues timer retransmits`; below, past `timeout`.
    let uid = fields.nth(5)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Bound { local, uid, inode })
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
        assert_eq!(read_tcp(four), Some((expected, ESTABLISHED)));
        let mapped =
            "0: 0000000000000000FFFF00000100000A:0016 0000000000000000FFFF00000200000A:C350 01";
        assert_eq!(read_tcp(mapped), Some((expected, ESTABLISHED)));
        let six =
            "0: B80D0120000000000000000001000000:0016 B80D0120000000000000000002000000:C350 01";
        assert_eq!(read_tcp(six).unwrap().0.remote, "[2001:db8::2]:50000".parse().unwrap());
    }

    #[test]
    fn a_listener_is_distinguished_from_a_connection() {
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
            assert_eq!(read_tcp(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_kernels_lines_of_udp_are_read() {
        let line = " 2017: 0100000A:F388 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 26310 2 0000000000000000 0";
        let local = "10.0.0.1:62344".parse().unwrap();
        assert_eq!(read_udp(line), Some(Bound { local, uid: 1000, inode: 26_310 }));
        assert_eq!(
            read_udp("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when"),
            None
        );
        assert_eq!(read_udp("1: 0100000A:F388 00000000:0000 07"), None);
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
