//! What a knock and its answer leave on the gateway: nothing in conntrack, so nothing that opens a
//! port, now or for a service that comes later.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use sknock_tests::wait::uninterrupted;
use sknock_tests::{Authority, Client, Config, Daemon, Namespace, Sent, World, udp_socket};

use super::{Policy, config};

/// How knocks come in, `knockPort`, and the port that is knocked at.
pub(crate) type Way = (&'static str, &'static str, u16);

const RANGE: &str = "62344, 40000-41000";
pub(crate) const WAYS: [Way; 4] = [
    ("nflog", "62344", 62344),
    ("nflog", RANGE, 62344),
    ("nflog", RANGE, 40500),
    ("socket", "62344", 62344),
];

/// What closes every port of [`WAYS`]: all traffic, or these ports.
pub(crate) const CLOSING: [Policy; 4] =
    [("drop", true), ("reject", true), ("drop", false), ("reject", false)];

/// Long enough for a packet on one machine, if it is let through.
const SILENCE: Duration = Duration::from_millis(500);

/// Protects everything, or tcp/22 and every knock port.
pub(crate) fn closing(authority: &Authority, (intake, ports, _): Way, policy: Policy) -> Config {
    let config = config(authority, intake, policy).set("knockPort", ports);
    if policy.1 {
        config
    } else {
        config.set("protectedPorts", "tcp/22, udp/40000-41000, udp/62344")
    }
}

/// Whether a service at `port` hears what comes from these sockets. It does hear what the gateway says
/// to itself, or it would prove nothing.
fn is_heard_by_a_service(gateway: &Namespace, port: u16, senders: &[&UdpSocket]) -> bool {
    let service = udp_socket(gateway, port);
    for sender in senders {
        // What was refused before is told at the next sending.
        let _ = sender.take_error();
        let _ = sender.send(b"is anybody there?");
    }
    service.set_read_timeout(Some(SILENCE)).unwrap();
    let heard = match uninterrupted(|| service.recv(&mut [0; 32])) {
        Ok(_) => true,
        Err(error) => {
            let silent = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
            assert!(silent.contains(&error.kind()), "{error}");
            false
        }
    };
    let own = gateway.inside(|| UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))).unwrap();
    own.send_to(b"myself", (Ipv6Addr::LOCALHOST, port)).unwrap();
    assert!(uninterrupted(|| service.recv(&mut [0; 32])).is_ok(), "it hears nobody at all");
    heard
}

fn knock(world: &World, authority: &Authority, port: u16) -> [Sent; 2] {
    World::GATEWAY.map(|host| {
        let knock = Client::alice(&world.client, authority).seal_for(&["tcp/22"], 600);
        let sent = knock.send_to(&world.client, SocketAddr::new(host, port));
        sent.must_be_granted();
        sent
    })
}

fn an_answer_opens_nothing_but_what_was_asked_for(way: Way, policy: Policy) {
    let (world, authority) = (World::new(), Authority::new());
    let (intake, _, port) = way;
    let what = format!("{way:?} under {policy:?}");
    world.gateway.track_connections();
    let list = authority.file("crl.der");
    let config = closing(&authority, way, policy).set("crlFile", list.to_str().unwrap());
    let mut daemon = Daemon::start_settled(&world.gateway, &config);
    let sent = knock(&world, &authority, port);
    assert_eq!(world.gateway.tracked_udp(port), Vec::<String>::new(), "{what}: an entry");
    // A bound knock port is free for another service only when sknockd has ended; the table stays.
    let bound = intake == "socket";
    if !bound {
        let heard = is_heard_by_a_service(&world.gateway, port, &sent.each_ref().map(Sent::socket));
        assert!(!heard, "{what}: the client reaches a service that it was granted nothing for");
    }
    authority.revoke("alice");
    daemon.reload();
    if bound {
        daemon.stop();
    }
    let heard = is_heard_by_a_service(&world.gateway, port, &sent.each_ref().map(Sent::socket));
    assert!(!heard, "{what}: the revoked client reaches a service");
    assert_eq!(world.gateway.tracked_udp(port), Vec::<String>::new(), "{what}: an entry");
}

#[test]
fn an_answer_arrives_leaves_no_entry_and_opens_no_service_that_comes_later() {
    for way in WAYS {
        thread::scope(|scope| {
            for policy in CLOSING {
                scope.spawn(move || an_answer_opens_nothing_but_what_was_asked_for(way, policy));
            }
        });
    }
}

/// The kernel tracks what comes to a closed port that nobody protects. The answer is no part of it: the
/// flow stays one that was never replied to.
#[test]
fn where_the_knock_port_is_not_protected_the_answer_is_no_reply_to_conntrack() {
    for way in WAYS {
        let (world, authority) = (World::new(), Authority::new());
        world.gateway.track_connections();
        let config = config(&authority, way.0, ("reject", false)).set("knockPort", way.1);
        let _daemon = Daemon::start_settled(&world.gateway, &config);
        knock(&world, &authority, way.2);
        let entries = world.gateway.tracked_udp(way.2);
        assert!(entries.iter().all(|line| line.contains("[UNREPLIED]")), "{way:?}: {entries:?}");
        // Such a flow is there for what any stranger sends: the kernel's list is not empty by mistake.
        let before = world.gateway.tracked_udp(54).len();
        sknock_tests::reach::udp(&world.stranger, (World::GATEWAY_TO_STRANGER[0], 54).into());
        assert_eq!((before, world.gateway.tracked_udp(54).len()), (0, 1), "{way:?}");
    }
}
