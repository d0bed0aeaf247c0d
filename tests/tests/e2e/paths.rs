//! Knocks over paths that carry less than a knock at a time, and by other ways than the connection.

use std::net::IpAddr;

use sknock_tests::{Authority, Client, Config, Daemon, Echo, World};

/// The client is behind a router, `gateway`, that carries at most `mtu` bytes a packet to the server, `inner`,
/// and back.
fn narrow(mtu: u32) -> World {
    let world = World::with_inner();
    for (namespace, link) in [(&world.gateway, "in"), (world.inner(), "in")] {
        namespace.ip(&format!("link set {link} mtu {mtu}"));
    }
    world.client.ip("route add default via 10.77.1.1\nroute add default via fd77:1::1");
    world
}

/// A router that tells nobody why a packet does not get through, as many firewalls have it.
fn say_nothing(router: &sknock_tests::Namespace) {
    router.nft(
        "table inet silent {\nchain out {\ntype filter hook output priority 0;\n\
         icmp type destination-unreachable drop\nicmpv6 type packet-too-big drop\n}\n}\n",
    );
}

#[track_caller]
fn opens(world: &World, authority: &Authority, server: IpAddr) {
    Client::alice(&world.client, authority).answered(server, "tcp/22", |client| client);
}

/// 576 is the least that every host must take, in IPv4; a link with less than 1280 does not carry IPv6.
#[test]
fn the_first_knock_gets_through_where_a_knock_does_not_fit_into_a_packet() {
    let authority = Authority::new();
    let config = Config::new(&authority);
    for (mtu, families, config) in [
        (576, 1, config.clone().set("firewallPolicy", "drop")),
        (1000, 1, config.clone()),
        (1280, 2, config.clone()),
        (1000, 1, config.set("intake", "socket")),
    ] {
        let world = narrow(mtu);
        say_nothing(&world.gateway);
        let _daemon = Daemon::start_settled(world.inner(), &config);
        let _service = Echo::tcp(world.inner(), 22);
        for server in World::INNER.into_iter().take(families) {
            opens(&world, &authority, server);
        }
    }
}

#[test]
fn the_first_knock_gets_through_where_the_clients_own_link_is_narrow() {
    let (world, authority) = (World::new(), Authority::new());
    world.client.ip("link set cl mtu 1000");
    let _daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let _service = Echo::tcp(&world.gateway, 22);
    opens(&world, &authority, World::GATEWAY[0]);
}

/// TCP leaves by another address than UDP, as behind some carriers' NAT or by a policy of the route.
#[test]
fn a_connection_from_another_address_reports_the_granted_address() {
    let (world, authority) = (World::new(), Authority::new());
    world.client.ip("addr add 10.77.1.9/24 dev cl\n\
         rule add ipproto tcp lookup 77\n\
         route add 10.77.1.0/24 dev cl src 10.77.1.9 table 77");
    let _daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let _service = Echo::tcp(&world.gateway, 22);
    let alice = Client::alice(&world.client, &authority);
    let ran = alice.knock("--attempts 1 --timeout 3 10.77.1.1 tcp/22");
    assert_eq!((ran.code, &ran.report["error"]), (1, &"nothing-listens".into()), "{ran:?}");
    assert!(
        ran.report["observed"].as_str().expect("it is told").starts_with("10.77.1.2:"),
        "{ran:?}"
    );
    let message = ran.report["message"].as_str().expect("it is told");
    assert!(message.contains("opened tcp/22 for 10.77.1.2"), "{message}");
    assert!(message.contains("connects from the same address"), "{message}");
    let mut connect = alice.command("connect --attempts 1 --timeout 3 10.77.1.1 22");
    let output = world.client.inside(|| connect.output()).expect("it was just built");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("opened the port for 10.77.1.2"), "{said}");
}
