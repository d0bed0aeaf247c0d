//! Flows of UDP that begin at a protected port of this host. Who begins one lets the other side in, so the
//! network process must not.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, setsockopt, socket, sockopt,
};
use nix::unistd::{Uid, setfsuid};
use sknock_gate::{FirewallPolicy, TableSpec, Transport};

use crate::netns::Net;
use crate::reach::Site;
use crate::setup::{ceiling, grant_request, open, raised, range, rules, udp};

/// A protected port.
const PORT: u16 = 5300;
/// The port of who is out there.
const THEIRS: u16 = 7777;
/// The user of the network process, as `rules` has it, and another one.
const NETWORK: Uid = Uid::from_raw(65534);
const OTHER: Uid = Uid::from_raw(1234);

/// How long to wait for what must not come.
const SILENCE: Duration = Duration::from_millis(500);
/// How long to wait for what must come: a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// Protects `PORT` only.
fn hidden() -> TableSpec {
    TableSpec { protected: vec![udp(PORT)], ..rules(FirewallPolicy::Drop) }
}

/// A socket of `user` at this port, beside others that allow it as this one does.
fn bound(net: &Net, user: Uid, address: &str, port: u16) -> UdpSocket {
    let address: IpAddr = address.parse().unwrap();
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = net.inside(|| {
        let before = setfsuid(user);
        let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
        setfsuid(before);
        setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
        let number = socket.as_raw_fd();
        match SocketAddr::new(address, port) {
            SocketAddr::V4(v4) => bind(number, &SockaddrIn::from(v4)).unwrap(),
            SocketAddr::V6(v6) => bind(number, &SockaddrIn6::from(v6)).unwrap(),
        }
        socket
    });
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A program of `user` sends one datagram from `port`, and closes its socket.
fn begin(site: &Site, user: Uid, family: usize, port: u16, to: u16) -> io::Result<()> {
    let socket = bound(&site.host, user, Site::HOST[family], port);
    socket.send_to(b"hi", (Site::CLIENT[family], to)).map(drop)
}

/// Whether what comes from out there reaches `socket`, within `patience`.
fn reaches(site: &Site, socket: &UdpSocket, family: usize, patience: Duration) -> bool {
    socket.set_read_timeout(Some(patience)).unwrap();
    let theirs = bound(&site.client, OTHER, Site::CLIENT[family], THEIRS);
    let port = socket.local_addr().unwrap().port();
    theirs.send_to(b"let me in", (Site::HOST[family], port)).unwrap();
    socket.recv(&mut [0; 16]).is_ok()
}

#[test]
fn the_network_processes_user_cannot_admit_a_peer_by_its_own_flow() {
    let site = Site::new();
    let _gate = raised(&site.host, hidden(), ceiling());
    for family in [0, 1] {
        let service = bound(&site.host, OTHER, Site::HOST[family], PORT);
        assert!(!reaches(&site, &service, family, SILENCE), "nobody is let in");
        let sent = begin(&site, NETWORK, family, PORT, THEIRS).map_err(|error| error.kind());
        assert!(!reaches(&site, &service, family, SILENCE), "by a flow of the network process");
        assert_eq!(sent, Err(ErrorKind::PermissionDenied));
        // From other ports it may: it asks for names.
        begin(&site, NETWORK, family, PORT + 1, THEIRS).unwrap();
        // What the table cannot forbid to others: services that begin flows themselves.
        begin(&site, OTHER, family, PORT, THEIRS).unwrap();
        assert!(reaches(&site, &service, family, PATIENCE));
        // Once somebody else has begun it, it keeps nothing alive.
        assert!(begin(&site, NETWORK, family, PORT, THEIRS).is_err());
    }
}

#[test]
fn its_answers_to_a_client_with_a_grant_pass() {
    let site = Site::new();
    let mut gate = raised(&site.host, hidden(), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[udp(PORT)], 60));
    for family in [0, 1] {
        let service = bound(&site.host, NETWORK, Site::HOST[family], PORT);
        let client = bound(&site.client, OTHER, Site::CLIENT[family], THEIRS);
        client.send_to(b"let me in", (Site::HOST[family], PORT)).unwrap();
        let (_, from) = service.recv_from(&mut [0; 16]).unwrap();
        service.send_to(b"welcome", from).unwrap();
        assert_eq!(client.recv(&mut [0; 16]).unwrap(), 7);
    }
}

/// Its resolver has no say in which port it gets.
#[test]
fn from_ephemeral_ports_it_can_query_dns_and_begin_no_other_flow() {
    let site = Site::new();
    let ephemeral = vec![range(Transport::Udp, PORT, PORT + 10)];
    let _gate = raised(&site.host, TableSpec { ephemeral, ..hidden() }, ceiling());
    for family in [0, 1] {
        begin(&site, NETWORK, family, PORT, 53).unwrap();
        assert!(begin(&site, NETWORK, family, PORT, THEIRS).is_err());
        let service = bound(&site.host, OTHER, Site::HOST[family], PORT);
        assert!(!reaches(&site, &service, family, SILENCE));
    }
}

/// What docs/THREATS.md advises where a service begins no flows.
#[test]
fn a_ct_direction_rule_in_another_table_blocks_peers_of_own_flows() {
    let site = Site::new();
    let both = TableSpec { protected: vec![udp(PORT), udp(PORT + 1)], ..hidden() };
    let mut gate = raised(&site.host, both, ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[udp(PORT + 1)], 60));
    site.host.nft(
        "table inet other { chain input { type filter hook input priority 0;
           udp dport 5300-5301 ct direction reply drop; } }",
    );
    for family in [0, 1] {
        begin(&site, OTHER, family, PORT, THEIRS).unwrap();
        let service = bound(&site.host, OTHER, Site::HOST[family], PORT);
        assert!(!reaches(&site, &service, family, SILENCE), "who answers");
        let service = bound(&site.host, OTHER, Site::HOST[family], PORT + 1);
        assert!(reaches(&site, &service, family, PATIENCE), "who was let in");
    }
}
