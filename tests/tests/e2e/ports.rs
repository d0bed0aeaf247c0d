//! Which ports are hidden and opened: as the client dialled them, in ranges, some of them or all.

use sknock_tests::Found::{Open, Refused, Silent};
use sknock_tests::reach::connect;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Seen, World};

#[test]
fn a_port_that_somebody_redirects_is_hidden_and_opened_as_dialled() {
    let (world, authority) = (World::new(), Authority::new());
    let (_ssh, _dns) = (Echo::tcp(&world.gateway, 22), Echo::udp(&world.gateway, 53));
    world.gateway.nft(
        "table inet nat {
            chain prerouting {
                type nat hook prerouting priority dstnat;
                tcp dport 2222 redirect to :22
                udp dport 60001 redirect to :53
            }
        }",
    );
    let seen = || [world.tcp(2222), world.udp(60001)];
    assert_eq!(seen(), [Seen::each(Open, Open); 2]);
    let config = Config::new(&authority).set("protectedPorts", "tcp/2222, udp/60001");
    let _daemon = Daemon::start(&world.gateway, &config);
    assert_eq!(seen(), [Seen::each(Refused, Refused); 2]);
    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        alice.open(host, "tcp/2222 udp/60001");
    }
    assert_eq!(seen(), [Seen::each(Open, Refused); 2]);
}

#[test]
fn a_port_published_from_a_container_is_hidden_and_opened_as_dialled() {
    let (world, authority) = (World::with_inner(), Authority::new());
    let (_web, _dns) = (Echo::tcp(world.inner(), 80), Echo::udp(world.inner(), 53));
    let [v4, v6] = World::INNER;
    world.gateway.nft(&format!(
        "table inet nat {{
            chain prerouting {{
                type nat hook prerouting priority dstnat;
                tcp dport 8080 dnat ip to {v4}:80
                tcp dport 8080 dnat ip6 to [{v6}]:80
                udp dport 60002 dnat ip to {v4}:53
                udp dport 60002 dnat ip6 to [{v6}]:53
            }}
        }}"
    ));
    let seen = || [world.tcp(8080), world.udp(60002)];
    assert_eq!(seen(), [Seen::each(Open, Open); 2]);
    let config = Config::new(&authority)
        .set("firewallPolicy", "drop")
        .set("protectedPorts", "tcp/8080, udp/60002");
    let _daemon = Daemon::start(&world.gateway, &config);
    assert_eq!(seen(), [Seen::each(Silent, Silent); 2]);
    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        alice.open(host, "tcp/8080 udp/60002");
    }
    assert_eq!(seen(), [Seen::each(Open, Silent); 2]);
}

#[test]
fn a_range_of_ports_is_opened_whole_or_in_part() {
    let (world, authority) = (World::new(), Authority::new());
    let ports = [60000, 60003, 60004, 60010, 60011];
    let _services = ports.map(|port| Echo::udp(&world.gateway, port));
    let config = Config::new(&authority).set("protectedPorts", "udp/60000-60011");
    let _daemon = Daemon::start(&world.gateway, &config);
    let (closed, open) = (Seen::each(Refused, Refused), Seen::each(Open, Refused));
    assert_eq!(ports.map(|port| world.udp(port)), [closed; 5]);
    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        alice.open(host, "udp/60003-60004");
    }
    assert_eq!(ports.map(|port| world.udp(port)), [closed, open, open, closed, closed]);
    for host in World::GATEWAY {
        alice.open(host, "udp/60000-60010");
    }
    assert_eq!(ports.map(|port| world.udp(port)), [open, open, open, open, closed]);
}

#[test]
fn a_knock_without_services_opens_all_that_the_certificate_allows() {
    let (world, authority) = (World::new(), Authority::new());
    authority.client("bob", &["tcp/22", "udp/60000-60001"]);
    let _ssh = [22, 80].map(|port| Echo::tcp(&world.gateway, port));
    let _games = [60000, 60001].map(|port| Echo::udp(&world.gateway, port));
    let config = Config::new(&authority).without("protectedPorts").set("alwaysOpenPorts", "");
    let _daemon = Daemon::start(&world.gateway, &config);
    let bob = Client::named("bob", &world.client, &authority);
    for host in World::GATEWAY {
        bob.open(host, "");
    }
    let open = [world.tcp(22), world.udp(60000), world.udp(60001)];
    assert_eq!(open, [Seen::each(Open, Refused); 3]);
    assert_eq!(world.tcp(80), Seen::each(Refused, Refused));
}

#[test]
fn with_protected_ports_all_others_are_left_alone() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [22, 80].map(|port| Echo::tcp(&world.gateway, port));
    let _dns = Echo::udp(&world.gateway, 123);
    let config = Config::new(&authority).set("protectedPorts", "tcp/22");
    let _daemon = Daemon::start(&world.gateway, &config);
    assert_eq!(world.tcp(22), Seen::each(Refused, Refused));
    assert_eq!([world.tcp(80), world.udp(123)], [Seen::each(Open, Open); 2]);
}

#[test]
fn over_all_traffic_only_what_is_always_open_stays_so() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [22, 80, 2222].map(|port| Echo::tcp(&world.gateway, port));
    let _dns = Echo::udp(&world.gateway, 53);
    let config = Config::new(&authority)
        .without("protectedPorts")
        .set("firewallPolicy", "drop")
        .set("alwaysOpenPorts", "tcp/80");
    let daemon = Daemon::start(&world.gateway, &config);
    let seen = || [world.tcp(80), world.tcp(22), world.tcp(2222), world.udp(53)];
    let (everybody, nobody) = (Seen::each(Open, Open), Seen::each(Silent, Silent));
    assert_eq!(seen(), [everybody, nobody, nobody, nobody]);
    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        alice.open(host, "tcp/2222 udp/53");
    }
    let client = Seen::each(Open, Silent);
    assert_eq!(seen(), [everybody, nobody, client, client]);

    // Unless something else is said, SSH stays open: nobody locks themselves out by a first try.
    daemon.configure(&config.without("alwaysOpenPorts"));
    daemon.reload();
    assert_eq!(seen(), [nobody, everybody, client, client]);
    // The gateway itself reaches whatever it likes.
    let _theirs = Echo::tcp(&world.client, 80);
    for client in World::CLIENT {
        connect(&world.gateway, (client, 80).into()).unwrap();
    }
}
