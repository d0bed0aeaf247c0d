//! Connections through a door, over loopback.

#[path = "support/world.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use sknock::{ConnectError, KnockError, Verified};
use support::{Server, World, grant};

/// An address of which everyone gets another one, so that nobody takes it before it opens. Not
/// among those that the system hands out for outgoing connections.
fn address_to_open(host: u8) -> SocketAddr {
    ([127, 66, 0, host], 2222).into()
}

/// Opens `address` after a while, greets one visitor, and leaves.
fn open_late(address: SocketAddr) {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(150));
        let listener = TcpListener::bind(address).unwrap();
        listener.accept().unwrap().0.write_all(b"welcome").unwrap();
    });
}

fn greeting(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_port_that_opens_late_is_reached() {
    let world = World::new();
    let address = address_to_open(1);
    let server = Server::start(&world, "127.66.0.1:0", move |count, heard| {
        if count == 1 {
            open_late(address);
        }
        vec![grant(heard)]
    });
    let stream = world.client(&server).build().connect("127.66.0.1", address.port()).unwrap();
    assert_eq!(greeting(stream), "welcome");
}

#[test]
fn a_connection_needs_neither_an_answer_nor_the_first_knock() {
    let world = World::new();
    let address = address_to_open(2);
    let server = Server::start(&world, "127.66.0.2:0", move |count, _| {
        if count == 2 {
            open_late(address);
        }
        Vec::new()
    });
    let connection = world.client(&server).build().reach("127.66.0.2", address.port()).unwrap();
    assert_eq!(connection.opened.verified, Verified::Connection);
    assert_eq!(greeting(connection.stream), "welcome");
    assert!(server.heard().len() >= 2);
}

#[test]
fn without_verification_it_connects_all_the_same() {
    let world = World::new();
    let address = address_to_open(3);
    let server = Server::start(&world, "127.66.0.3:0", move |count, heard| {
        assert!(heard.knock.answer_key().is_none());
        if count == 1 {
            open_late(address);
        }
        Vec::new()
    });
    let client = world.client(&server).verify(false).build();
    assert_eq!(greeting(client.connect("127.66.0.3", address.port()).unwrap()), "welcome");
}

#[test]
fn an_ipv6_port_is_reached() {
    let world = World::new();
    let server = Server::granting(&world, "[::1]:0");
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connection = world.client(&server).single_use(true).build().reach("::1", port).unwrap();
    assert_eq!(connection.opened.verified, Verified::Answer);
    assert_eq!(connection.stream.peer_addr().unwrap(), listener.local_addr().unwrap());
}

#[test]
fn errors_distinguish_no_listener_from_no_confirmation() {
    let world = World::new();
    let (host, closed) = ("127.66.0.4", 2222);
    let granting = Server::granting(&world, "127.66.0.4:0");
    let hasty = |server| world.client(server).timeout(Duration::from_millis(400)).build();
    let error = hasty(&granting).connect(host, closed).unwrap_err();
    assert!(matches!(error, ConnectError::NothingListens { .. }), "{error}");
    let silent = Server::silent(&world, "127.66.0.4:0");
    let error = hasty(&silent).connect(host, closed).unwrap_err();
    let ConnectError::NotConfirmed { knock, .. } = &error else { panic!("{error}") };
    assert!(matches!(**knock, KnockError::NotConfirmed { .. }), "{knock}");
    let error = hasty(&silent).connect(host, 0).unwrap_err();
    assert!(matches!(error, ConnectError::NoPort), "{error}");
}
