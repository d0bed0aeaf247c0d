//! Hosts with several addresses, as a resolver would list them.

use std::net::TcpListener;
use std::time::Duration;

use super::*;
use support::{Server, World, grant};

#[path = "../../tests/support/world.rs"]
pub(crate) mod support;

/// Below the range of ephemeral ports, so that no other socket gets it.
const KNOCK_PORT: u16 = 2223;
const PORT: u16 = 2222;

fn retry<'a>(client: &'a Client, hosts: &[&str], services: &'a [Service]) -> Retry<'a> {
    let address = |host: &&str| SocketAddr::new(host.parse().unwrap(), KNOCK_PORT);
    let destinations = hosts.iter().map(address).collect();
    let timer = Timer::of(Duration::from_secs(30));
    let effort = client.effort(client.options.attempts, services);
    Retry::at(client, "host", destinations, services, effort, timer)
}

fn service(text: &str) -> [Service; 1] {
    [text.parse().unwrap()]
}

#[test]
fn the_address_that_answers_is_opened() {
    let world = World::new();
    let hosts = ["127.66.3.1", "127.66.3.2"];
    let silent = Server::silent(&world, "127.66.3.1:2223");
    let granting = Server::granting(&world, "127.66.3.2:2223");
    let client = world.client(&granting).build();
    let opened = client.open(retry(&client, &hosts, &service("udp/53"))).unwrap();
    assert_eq!(opened.destination.to_string(), "127.66.3.2");
    assert_eq!((silent.heard().len(), granting.heard().len()), (1, 1));
}

#[test]
fn an_unreachable_family_does_not_keep_from_the_other() {
    let world = World::new();
    let granting = Server::granting(&world, "127.66.3.3:2223");
    let client = world.client(&granting).build();
    // No listener on IPv6: ICMP port unreachable, or no route at all.
    for hosts in [["::1", "127.66.3.3"], ["2001:db8::1", "127.66.3.3"]] {
        let opened = client.open(retry(&client, &hosts, &service("udp/53"))).unwrap();
        assert_eq!(opened.destination.to_string(), "127.66.3.3");
    }
}

#[test]
fn every_address_has_its_turn_in_every_round() {
    let world = World::new();
    let hosts = ["127.66.3.4", "127.66.3.5"];
    let [one, two] = hosts.map(|host| Server::silent(&world, &format!("{host}:{KNOCK_PORT}")));
    let client = world.client(&one).attempt_timeout(Duration::from_millis(10)).build();
    let error = client.open(retry(&client, &hosts, &service("udp/53"))).unwrap_err();
    let KnockError::NotConfirmed { tried, .. } = &error else { panic!("{error}") };
    assert_eq!(tried.len(), 2);
    for heard in [one.heard(), two.heard()] {
        assert_eq!(heard.len(), 3);
        assert!(heard[2].index < 64, "the last attempt at this address: {}", heard[2].index);
    }
}

#[test]
fn an_address_where_nothing_listens_is_skipped_for_another() {
    let world = World::new();
    let hosts = ["127.66.3.6", "127.66.3.7"];
    let [one, two] = hosts.map(|host| Server::granting(&world, &format!("{host}:{KNOCK_PORT}")));
    let _listener = TcpListener::bind(("127.66.3.7", PORT)).unwrap();
    let client = world.client(&one).build();
    let services = service("tcp/2222");
    let opened = client.open(retry(&client, &hosts, &services)).unwrap();
    assert_eq!(opened.destination.to_string(), "127.66.3.7");
    let connection = client.open_and_connect(retry(&client, &hosts, &services), PORT).unwrap();
    assert_eq!(connection.stream.peer_addr().unwrap().ip().to_string(), "127.66.3.7");
    assert_eq!(one.heard().len(), 2);
    assert_eq!(two.heard().len(), 2);
}

#[test]
fn a_single_use_grant_used_too_early_is_requested_again() {
    let world = World::new();
    let mut listeners = Vec::new();
    let server = Server::start(&world, "127.66.3.8:2223", move |count, heard| {
        if count == 2 {
            listeners.push(TcpListener::bind(("127.66.3.8", PORT)).unwrap());
        }
        vec![grant(heard)]
    });
    let client = world.client(&server).single_use(true).build();
    let services = service("tcp/2222");
    client.open_and_connect(retry(&client, &["127.66.3.8"], &services), PORT).unwrap();
    assert_eq!(server.heard().len(), 2);
}

#[test]
fn without_verification_every_address_gets_one_knock() {
    let world = World::new();
    let hosts = ["127.66.3.9", "127.66.3.10"];
    let [one, two] = hosts.map(|host| Server::silent(&world, &format!("{host}:{KNOCK_PORT}")));
    let client = world.client(&one).verify(false).attempts(1).build();
    let opened = client.open(retry(&client, &hosts, &service("udp/53"))).unwrap();
    assert_eq!(
        (opened.destination.to_string().as_str(), opened.verified),
        (hosts[0], Verified::No)
    );
    while one.count() + two.count() < 2 {
        std::thread::yield_now();
    }
    assert_eq!((one.heard().len(), two.heard().len()), (1, 1));
}
