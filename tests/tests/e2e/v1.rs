//! The original's protocol, from the real client to the real firewall.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use sknock_protocol::v1::{self, V1KnockRequest};
use sknock_protocol::{DEFAULT_KNOCK_PORT, Service};
use sknock_tests::Found::{Open, Silent};
use sknock_tests::wait::{now, some, until};
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Seen, World, reach};

/// What clients of the original need, and those of ours.
const ALL_KNOCK_PORTS: &str = "10000-60000, 62344";

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
    let wish = V1KnockRequest { stamp: now(), service, address };
    v1::seal(&authority.identity("alice"), &authority.server_certificate("gate"), &wish).unwrap()
}

/// A way from the client to the server's knock port.
fn path(world: &World, to: IpAddr) -> UdpSocket {
    path_to(world, (to, DEFAULT_KNOCK_PORT).into())
}

fn path_to(world: &World, to: SocketAddr) -> UdpSocket {
    reach::udp_socket(&world.client, to).unwrap()
}

/// Notes the port of every datagram that comes to the gateway.
const WATCH: &str = "table inet watch {
    set ports { type inet_service; flags dynamic; size 65535; }
    chain arriving { type filter hook prerouting priority raw; meta l4proto udp add @ports { udp dport }; }
}";

/// Those ports.
fn knocked_at(world: &World) -> BTreeSet<u16> {
    let listed = world.gateway.run("nft", &["list", "set", "inet", "watch", "ports"]);
    let elements = listed.split_once("elements = {").map_or("", |(_, elements)| elements);
    let numbers = elements.split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty());
    numbers.map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_v1_knock_opens_a_port_in_both_families() {
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
fn a_v1_knock_is_accepted_once() {
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
fn a_server_accepts_no_v1_knock_unless_configured() {
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

#[test]
fn v1_knocks_at_random_ports_are_accepted_beside_v2() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [22, 2222, 8080].map(|port| Echo::tcp(&world.gateway, port));
    let _dns = Echo::udp(&world.gateway, 53);
    let config = config(&authority)
        .set("intake", "nflog")
        .set("knockPort", ALL_KNOCK_PORTS)
        .set("alwaysOpenPorts", "");
    let _daemon = Daemon::start(&world.gateway, &config);
    let seen = || [world.tcp(22), world.tcp(2222), world.tcp(8080), world.udp(53)];
    let (closed, open) = (Seen::each(Silent, Silent), Seen::each(Open, Silent));
    assert_eq!(seen(), [closed; 4]);
    world.gateway.nft(WATCH);

    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        for service in ["tcp/2222", "tcp/8080"] {
            let ran = alice.open(host, &format!("{service} --protocol v1"));
            assert_eq!(ran.report["verified"], "connection");
        }
        let ran = alice.knock(&format!("{host} udp/53 --protocol v1"));
        assert_eq!(ran.report["result"], "sent", "{ran:?}");
    }
    let ports = knocked_at(&world);
    assert!(ports.iter().all(|port| v1::KNOCK_PORTS.contains(port)), "{ports:?}");
    assert!(ports.len() > 3, "six knocks or more, each at a port of its own: {ports:?}");
    until("udp/53 is open", || world.udp(53) == open);
    assert_eq!(seen(), [closed, open, open, open]);

    for host in World::GATEWAY {
        alice.answered(host, "tcp/22", |client| client); // by v2
    }
    assert_eq!(seen(), [open; 4]);
    let bound = world.gateway.run("ss", &["-Hlun"]);
    assert!(bound.lines().all(|line| line.contains(":53 ")), "only the DNS is bound: {bound}");
}

#[test]
fn v1_knocks_are_accepted_from_the_first_to_the_last_port_and_no_other() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [22, 2222, 8080].map(|port| Echo::tcp(&world.gateway, port));
    let config = config(&authority).set("knockPort", "10000-60000").set("alwaysOpenPorts", "");
    let _daemon = Daemon::start(&world.gateway, &config);
    for (to, from) in World::GATEWAY.into_iter().zip(World::CLIENT) {
        let send = |service: &str, port: u16| {
            path_to(&world, (to, port).into()).send(&sealed(&authority, from, service)).unwrap();
        };
        for (service, port, knock_port) in [("tcp/8080", 8080, 10_000), ("tcp/22", 22, 60_000)] {
            // Stamps are whole seconds, so those of the very first second are from before the start.
            until(&format!("{service} is open by {to}, {knock_port}"), || {
                send("tcp/2222", 9_999);
                send("tcp/2222", 60_001);
                send(service, knock_port);
                reach::tcp(&world.client, (to, port).into()) == Open
            });
        }
    }
    assert_eq!(world.tcp(2222), Seen::each(Silent, Silent));
}
