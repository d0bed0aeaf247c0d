//! Knocks as the original's clients send them: heard raw, for nobody answers.

#[path = "support/world.rs"]
mod support;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroU16;
use std::time::Duration;

use sknock::{Address, ClientBuilder, KnockError, Protocol, Service, Verified};
use sknock_protocol::{Datagram, Refusal, Revocation, v1};
use support::{World, now};

const V4: &str = "127.0.0.1:0";

/// Somewhere to knock, and Alice, who does so in v1.
fn scene(address: &str) -> (World, UdpSocket, ClientBuilder) {
    let world = World::new();
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let port = socket.local_addr().unwrap().port();
    let client = world.client_of(port).protocol_version(Protocol::V1);
    (world, socket, client)
}

/// All that has arrived.
fn heard(socket: &UdpSocket) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut bytes = [0; 2048];
    let mut all = Vec::new();
    while let Ok((length, source)) = socket.recv_from(&mut bytes) {
        all.push((source, bytes[..length].to_vec()));
    }
    all
}

fn listener() -> (TcpListener, [Service; 1]) {
    let listener = TcpListener::bind(V4).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, [Service::tcp(port).unwrap()])
}

#[test]
fn a_v1_grant_is_verified_by_a_connection() {
    let (world, socket, client) = scene(V4);
    let (_listener, services) = listener();
    let opened = client.build().knock("127.0.0.1", &services).unwrap();
    assert_eq!(opened.verified, Verified::Connection);
    assert!(opened.granted.is_none());

    let heard = heard(&socket);
    let [(source, datagram)] = &heard[..] else { panic!("{} knocks", heard.len()) };
    assert_eq!(datagram[..4], *b"a\x01\x00\x00");
    // The address is the last thing to be checked, and nobody is let in on loopback.
    let rules = v1::V1Rules { shortest_frame: 800, any_usage: false };
    let verifier = world.verifier().with_v1(rules);
    let unveiled = verifier.unveil(Datagram::new(*source, datagram), now()).unwrap();
    let refusal = verifier.verify(unveiled, &Revocation::NotConfigured, now()).unwrap_err();
    assert_eq!(refusal, Refusal::AddressUnusable);
}

#[test]
fn ipv6_is_knocked_on_as_well() {
    let (_world, socket, client) = scene("[::1]:0");
    let opened = client.build().knock("::1", &[Service::udp(53).unwrap()]).unwrap();
    assert_eq!(opened.destination.to_string(), "::1");
    assert_eq!(heard(&socket).len(), 1);
}

#[test]
fn a_v1_knock_that_cannot_be_verified_is_sent_once() {
    let (_world, socket, client) = scene(V4);
    let opened = client.build().knock("127.0.0.1", &[Service::udp(53).unwrap()]).unwrap();
    assert_eq!(opened.verified, Verified::No);
    assert_eq!(heard(&socket).len(), 1);
}

#[test]
fn a_v1_knock_is_repeated_while_the_port_is_closed() {
    let (_world, socket, client) = scene("127.66.9.1:0");
    let client = client.attempts(2).timeout(Duration::from_millis(1500)).build();
    // below the ports that the system gives to others
    let error = client.knock("127.66.9.1", &[Service::tcp(2222).unwrap()]).unwrap_err();
    let KnockError::NotConfirmed { port, tried, .. } = &error else { panic!("{error}") };
    assert_eq!(*port, socket.local_addr().unwrap().port());
    assert!(tried[0].claimed.is_some(), "v1 always signs an address");
    let heard = heard(&socket);
    assert_eq!(heard.len(), 2);
    assert_ne!(heard[0].1, heard[1].1, "each knock is a new one");
}

#[test]
fn without_a_knock_port_one_is_drawn() {
    let world = World::new();
    let ports: Vec<u16> = (0..8)
        .map(|_| {
            let client = world.client_anywhere().protocol_version(Protocol::V1);
            let client = client.attempts(1).timeout(Duration::from_millis(300)).build();
            let error = client.knock("127.66.9.2", &[Service::tcp(2222).unwrap()]).unwrap_err();
            let KnockError::NotConfirmed { port, .. } = error else { panic!("{error}") };
            port
        })
        .collect();
    assert!(ports.iter().all(|port| v1::KNOCK_PORTS.contains(port)), "{ports:?}");
    assert!(ports.iter().any(|port| port != &ports[0]), "{ports:?}");
}

#[test]
fn a_request_that_v1_cannot_express_is_refused_before_sending() {
    let (_world, socket, client) = scene(V4);
    let ssh: Service = "tcp/22".parse().unwrap();
    let range: Service = "tcp/22-23".parse().unwrap();
    let source = client.clone().address(Address::Source);
    for (client, services) in [
        (client.clone(), &[][..]),
        (client.clone(), &[ssh, Service::udp(53).unwrap()]),
        (client.clone(), &[range]),
        (client.clone().lifetime(NonZeroU16::new(9)), &[ssh]),
        (client.single_use(true), &[ssh]),
        (source, &[ssh]),
    ] {
        let error = client.build().knock("127.0.0.1", services).unwrap_err();
        assert!(matches!(error, KnockError::NotInV1(_)), "{error}");
        assert!(error.to_string().starts_with("protocol v1 cannot "), "{error}");
    }
    assert!(heard(&socket).is_empty());
}
