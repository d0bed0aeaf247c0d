//! The main job: closed, a knock, open for one address, closed again. Real programs, real packets.

use std::net::SocketAddr;
use std::process::Stdio;

use sknock_tests::Found::{Open, Refused, Silent};
use sknock_tests::reach::{self, connect, converse, converse_udp};
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Found, Seen, World};

/// Closed before, open for the client alone, closed after; what is established survives.
fn a_door_opens_and_closes(policy: &str, closed: Found) {
    let (world, authority) = (World::new(), Authority::new());
    let (_ssh, _dns) = (Echo::tcp(&world.gateway, 22), Echo::udp(&world.gateway, 53));
    assert_eq!([world.tcp(22), world.udp(53)], [Seen::each(Open, Open); 2]);
    let config = Config::new(&authority).set("firewallPolicy", policy);
    let _daemon = Daemon::start(&world.gateway, &config);
    assert_eq!([world.tcp(22), world.udp(53)], [Seen::each(closed, closed); 2]);

    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        let ran = alice.open(host, "tcp/22 udp/53 --lifetime 4");
        assert_eq!(ran.report["seconds"], 4);
    }
    assert_eq!([world.tcp(22), world.udp(53)], [Seen::each(Open, closed); 2]);
    let streams = World::GATEWAY.map(|host| connect(&world.client, (host, 22).into()).unwrap());
    let sockets =
        World::GATEWAY.map(|host| reach::udp_socket(&world.client, (host, 53).into()).unwrap());
    assert_eq!(sockets.each_ref().map(converse_udp), [Open; 2]);

    until("tcp/22 closes by itself", || world.tcp(22) == Seen::each(closed, closed));
    until("udp/53 closes by itself", || world.udp(53) == Seen::each(closed, closed));
    for stream in &streams {
        converse(stream).unwrap();
    }
    assert_eq!(sockets.each_ref().map(converse_udp), [Open; 2]);
}

#[test]
fn a_rejected_door_opens_for_one_address_and_closes_by_itself() {
    a_door_opens_and_closes("reject", Refused);
}

#[test]
fn a_dropped_door_opens_for_one_address_and_closes_by_itself() {
    a_door_opens_and_closes("drop", Silent);
}
