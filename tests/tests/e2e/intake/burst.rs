//! Thousands of people who knock in the same moment.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use sknock_gate::Firewall;
use sknock_protocol::v2::{self, ClaimedAddress, KnockRequest};
use sknock_protocol::{DEFAULT_KNOCK_PORT, Identity, ServerCertificate};
use sknock_tests::forge::Forge;
use sknock_tests::wait::{LIMIT, Limit, now};
use sknock_tests::{Authority, Daemon, World};

use super::config;

/// Each has a certificate and an address of their own.
const PEOPLE: u32 = 3000;

type Packet = [u8; v2::DATAGRAM_LENGTH];

#[test]
fn three_thousand_simultaneous_knocks_are_all_granted() {
    let authority = Authority::new();
    let forge = Forge::with_key_of(&authority);
    let people: Vec<Identity> =
        (0..PEOPLE).map(|number| forge.client(&format!("p{number}"), |_| ()).identity()).collect();
    let server = authority.server_certificate("gate");
    for intake in ["nflog", "socket"] {
        let world = World::new();
        let config = config(&authority, intake, ("drop", true))
            // What a busy machine keeps waiting must not be too old then.
            .set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60");
        let mut daemon = Daemon::stopped(&world.gateway, &config);
        daemon.export("SKNOCK_LOG", "info");
        daemon.settle();
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        let knocks: Vec<Packet> = people.iter().map(|person| knock(person, &server)).collect();
        send_all(&world, &knocks);
        assert_eq!(doors(&world), knocks.len(), "{intake}");
        assert_eq!(daemon.times_said("overload: datagrams dropped"), 0, "{intake}");
    }
}

fn knock(person: &Identity, server: &ServerCertificate) -> Packet {
    let wish = KnockRequest {
        stamp: now(),
        lifetime: None,
        single_use: false,
        answer: false,
        address: ClaimedAddress::Source,
        second: None,
        services: vec!["tcp/22".parse().unwrap()],
    };
    v2::seal(person, server, &wish).unwrap().datagram
}

/// Each from an address of its own, as fast as one thread can.
fn send_all(world: &World, knocks: &[Packet]) {
    world.client.run("ip", &["route", "add", "local", "100.64.0.0/10", "dev", "lo"]);
    // They are reached through the client.
    let via = World::CLIENT[0].to_string();
    world.gateway.run("ip", &["route", "add", "100.64.0.0/10", "via", &via]);
    let to = SocketAddr::new(World::GATEWAY[0], DEFAULT_KNOCK_PORT);
    let first = Ipv4Addr::new(100, 64, 0, 1).to_bits();
    world.client.inside(|| {
        // Nobody asks for the gateway's link address any more.
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(&[0], to).unwrap();
        for (address, knock) in (first..).map(Ipv4Addr::from_bits).zip(knocks) {
            let socket = UdpSocket::bind((address, 0)).unwrap();
            assert_eq!(socket.send_to(knock, to).unwrap(), knock.len());
        }
    });
}

/// How many doors are open when no more come, or there is one for everybody.
fn doors(world: &World) -> usize {
    let mut firewall = world.gateway.inside(|| Firewall::open().unwrap());
    let limit = Limit::new(LIMIT);
    loop {
        let open = firewall.dump().unwrap().len();
        if open == PEOPLE as usize || limit.is_over() {
            return open;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
