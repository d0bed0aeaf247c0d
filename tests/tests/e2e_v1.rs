//! The original's dialect, from the real client to the real firewall.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use sknock_protocol::v1::{self, Wish};
use sknock_protocol::{DEFAULT_KNOCK_PORT, Service};
use sknock_tests::Found::{Open, Silent};
use sknock_tests::wait::{now, some, until};
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Seen, World, reach};

/// Silence for everything but SSH and knocks.
fn config(authority: &Authority) -> Config {
    Config::new(authority)
        .without("protectedPorts")
        .set("firewallPolicy", "drop")
        .set("protocols", "v2, v1")
}

/// Alice's knock from `address`.
fn sealed(authority: &Authority, address: IpAddr, service: &str) -> Vec<u8> {
    let service: Service = service.parse().unwrap();
    let wish = Wish { stamp: now(), service, address };
    v1::seal(&authority.identity("alice"), &authority.server_certificate("gate"), &wish).unwrap()
}

/// A way from the client to the server's knock port.
fn path(world: &World, to: IpAddr) -> UdpSocket {
    reach::udp_socket(&world.client, SocketAddr::new(to, DEFAULT_KNOCK_PORT)).unwrap()
}

#[test]
fn a_v1_knock_opens_a_door_in_both_families() {
    let (world, authority) = (World::new(), Authority::new());
    let (_web, _dns) = (Echo::tcp(&world.gateway, 8080), Echo::udp(&world.gateway, 53));
    let _daemon = Daemon::start(&world.gateway, &config(&authority));
    let closed = Seen::each(Silent, Silent);
    assert_eq!([world.tcp(8080), world.udp(53)], [closed, closed]);

    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        let ran = alice.open(host, "tcp/8080 --protocol v1 --knock-port 62344");
        assert_eq!(ran.report["verified"], "connection");
        assert!(ran.report["seconds"].is_null(), "v1 has no answers: {ran:?}");
        let ran = alice.knock(&format!("{host} udp/53 --protocol v1 --knock-port 62344"));
        assert_eq!((ran.code, &ran.report["result"]), (0, &"sent".into()), "{ran:?}");
    }
    assert_eq!(world.tcp(8080), Seen::each(Open, Silent));
    until("udp/53 is open", || world.udp(53) == Seen::each(Open, Silent));
}

#[test]
fn a_v1_knock_is_good_for_one_door_only() {
    let (world, authority) = (World::new(), Authority::new());
    let (_web, _ssh) = (Echo::tcp(&world.gateway, 8080), Echo::tcp(&world.gateway, 2222));
    let config = config(&authority)
        .set("PORT_OPEN_DURATION_IN_SECONDS", "1")
        .set("TIMESTAMP_THRESHOLD_IN_SECONDS", "10")
        .set("workers", "1");
    let _daemon = Daemon::start(&world.gateway, &config);
    let ([to, _], [from, _]) = (World::GATEWAY, World::CLIENT);
    let open = |port: u16| reach::tcp(&world.client, (to, port).into()) == Open;

    let path = path(&world, to);
    // Stamps are whole seconds, so those of the very first second are from before the start.
    let (knock, other) = some("tcp/8080 is open", || {
        let [knock, other] = ["tcp/8080", "tcp/2222"].map(|port| sealed(&authority, from, port));
        path.send(&knock).unwrap();
        open(8080).then_some((knock, other))
    });
    until("tcp/8080 is closed again", || !open(8080));

    // The same bytes, and the same knock under another version; then one that is as old, and shows
    // that the others were read.
    path.send(&knock).unwrap();
    path.send(&[b"a\x00\x00\x01", &knock[4..]].concat()).unwrap();
    path.send(&other).unwrap();
    until("tcp/2222 is open", || open(2222));
    assert!(!open(8080));
}

#[test]
fn a_server_hears_no_v1_unless_told_to() {
    let (world, authority) = (World::new(), Authority::new());
    let _web = Echo::tcp(&world.gateway, 8080);
    let config = config(&authority).without("protocols").set("workers", "1");
    let _daemon = Daemon::start(&world.gateway, &config);
    let ([to, _], [from, _]) = (World::GATEWAY, World::CLIENT);
    path(&world, to).send(&sealed(&authority, from, "tcp/8080")).unwrap();
    let alice = Client::alice(&world.client, &authority);
    alice.seal(&["tcp/2222"]).send(&world.client, to).must_be_granted();
    assert_eq!(world.tcp(8080), Seen::each(Silent, Silent));
}
