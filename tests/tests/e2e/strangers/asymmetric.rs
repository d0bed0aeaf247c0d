//! Masqueraded machines whose packets do not come by the interface that leads to them: paths may be asymmetric, or
//! somebody forges. Which of both it is, only ports tell.

use std::net::{IpAddr, SocketAddr};

use sknock_tests::ip_packet::{ACK, Packet, SYN, Segment, tcp, udp};
use sknock_tests::wait::some;
use sknock_tests::{Authority, Config, Daemon, Wire, World};

use super::masqueraded::{ELSEWHERE, LEADS, THEIRS, UDP, config, ends, publish};
use super::stage::{Dns, settle};

const SOME: [(&str, bool); 2] = [("drop", false), ("reject", false)];
const ANY: [(&str, bool); 4] =
    [("drop", false), ("reject", false), ("drop", true), ("reject", true)];

/// From the machine's address, but by the stranger's cable; until it is there with the gateway's address.
fn passes(wire: &Wire, from: SocketAddr, to: SocketAddr, [own, stranger]: [SocketAddr; 2]) {
    wire.send(&udp(from, to, b"begins"));
    let passed = |packet: &Packet| packet.from == own && packet.to == stranger;
    wire.wait_for("the datagram, masqueraded", passed);
}

/// The client's packets come by one interface, and answers to it go out by another.
fn is_answered(world: &World, config: &Config, port: u16) {
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    let dns = Dns::on(world.inner(), "in", port);
    let _daemon = Daemon::start_settled(&world.gateway, config);
    for family in 0..2 {
        let [inner, own, stranger] = ends(family, port);
        passes(&wire, inner, stranger, [own, stranger]);
        wire.send(&udp(stranger, own, b"answers"));
        some("the answer", || dns.heard().contains("answers").then_some(()));
    }
}

#[test]
fn udp_flows_over_asymmetric_paths_pass_where_no_udp_port_is_protected() {
    for policy in ["drop", "reject"] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let config = config(&authority, (policy, false)).set("protectedPorts", "tcp/22");
        is_answered(&world, &config, UDP);
    }
}

#[test]
fn udp_flows_over_asymmetric_paths_pass_beside_protected_udp_ports() {
    for rules in SOME {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        // Below, beside and above them.
        for port in [ELSEWHERE, UDP - 1, LEADS + 1] {
            is_answered(&world, &config(&authority, rules), port);
        }
    }
}

/// Of TCP, only a SYN that answers a SYN is refused.
#[test]
fn tcp_connections_over_asymmetric_paths_are_answered() {
    for rules in SOME {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let inside = Wire::new(world.inner(), "10.77.3.1".parse().unwrap());
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for family in 0..2 {
            let [inner, own, stranger] = ends(family, ELSEWHERE);
            let dials = Segment { flags: SYN, sequence: 1, ..Segment::default() };
            wire.send(&tcp(inner, stranger, &dials));
            let passed = |packet: &Packet| packet.from == own && packet.to == stranger;
            wire.wait_for("the SYN, masqueraded", passed);
            let flags = SYN | ACK;
            let answer = Segment { flags, sequence: 9, acknowledged: 2, data: b"" };
            wire.send(&tcp(stranger, own, &answer));
            inside.wait_for("the answer", |packet| packet.is_syn_ack() && packet.to == inner);
        }
    }
}

/// The machine sends by a third interface. What a stranger has forged before does not end its flow.
#[test]
fn udp_over_an_asymmetric_path_is_answered_after_a_forged_datagram() {
    for rules in ANY {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let third = Wire::new(&world.client, World::GATEWAY[0]);
        let dns = Dns::on(world.inner(), "in", UDP);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for family in 0..2 {
            let [inner, own, stranger] = ends(family, UDP);
            passes(&wire, inner, stranger, [own, stranger]);
            wire.send(&udp(stranger, own, b"too early"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}");
            third.send(&udp(inner, stranger, b"begins"));
            let passed = |packet: &Packet| packet.from == own && packet.to == stranger;
            wire.wait_for("the machine's own datagram", passed);
            wire.send(&udp(stranger, own, b"answers"));
            some("the answer", || dns.heard().contains("answers").then_some(()));
        }
    }
}

/// The published number leads to another one, and masquerading back.
#[test]
fn no_datagram_is_admitted_at_a_published_port_translated_both_ways() {
    for rules in ANY {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let [[v4, v6], [own4, own6]] = [World::INNER, World::GATEWAY_TO_STRANGER];
        world.gateway.nft(&format!(
            "table inet back {{
                chain postrouting {{
                    type nat hook postrouting priority srcnat - 1
                    ip saddr {v4} udp sport {ELSEWHERE} oifname st snat ip to {own4}:{LEADS}
                    ip6 saddr {v6} udp sport {ELSEWHERE} oifname st snat ip6 to [{own6}]:{LEADS}
                }}
            }}"
        ));
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let dns = Dns::on(world.inner(), "in", ELSEWHERE);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for family in 0..2 {
            let [inner, own, stranger] = ends(family, ELSEWHERE);
            let own = SocketAddr::new(own.ip(), LEADS);
            passes(&wire, inner, stranger, [own, stranger]);
            wire.send(&udp(stranger, own, b"answers"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}, {own}");
        }
    }
}

/// Addresses of the wide world.
const AFAR: [&str; 2] = ["198.51.100.9", "2001:db8::9"];

fn afar(family: usize) -> SocketAddr {
    SocketAddr::new(AFAR[family].parse::<IpAddr>().unwrap(), THEIRS)
}

/// Two uplinks: by the client's cable, and for what is marked by the stranger's. A flow keeps to its uplink.
fn uplinks(world: &World) {
    world.gateway.ip("route add default via 10.77.1.2
         route add default via 10.77.2.2 table 2
         route add default via fd77:1::2
         route add default via fd77:2::2 table 2");
    for family in ["-4", "-6"] {
        for rule in ["pref 50 lookup main suppress_prefixlength 0", "pref 60 fwmark 2 table 2"] {
            let words = [family, "rule", "add"].into_iter().chain(rule.split(' '));
            world.gateway.run("ip", &words.collect::<Vec<_>>());
        }
    }
    world.gateway.nft(
        "table inet uplinks {
            chain prerouting {
                type filter hook prerouting priority mangle
                ct mark 0 iifname st ct mark set 2
                meta mark set ct mark
            }
        }",
    );
}

#[test]
fn no_datagram_is_admitted_where_marks_choose_the_uplink() {
    for rules in ANY {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        uplinks(&world);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let dns = Dns::on(world.inner(), "in", UDP);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for family in 0..2 {
            let [inner, own, _] = ends(family, UDP);
            let stranger = afar(family);
            passes(&wire, inner, stranger, [own, stranger]);
            wire.send(&udp(stranger, own, b"answers"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}, {own}");
        }
    }
}

/// All questions of the machine go to one resolver: their destinations are translated, too.
#[test]
fn no_datagram_is_admitted_by_a_forged_one_that_is_also_redirected() {
    for (policy, all) in ANY {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let [v4, v6] = World::STRANGER;
        world.gateway.nft(&format!(
            "table inet resolver {{
                chain prerouting {{
                    type nat hook prerouting priority dstnat - 1
                    ip saddr 10.77.3.0/24 udp dport {THEIRS} dnat ip to {v4}
                    ip6 saddr fd77:3::/64 udp dport {THEIRS} dnat ip6 to {v6}
                }}
            }}"
        ));
        world.gateway.ip("route add default via 10.77.1.2\nroute add default via fd77:1::2");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let dns = Dns::on(world.inner(), "in", UDP);
        // Else the forged datagram is refused as it comes.
        let open = if all { format!("udp/{THEIRS}") } else { String::new() };
        let config = config(&authority, (policy, all)).set("alwaysOpenPorts", &open);
        let _daemon = Daemon::start_settled(&world.gateway, &config);
        for family in 0..2 {
            let [inner, own, stranger] = ends(family, UDP);
            passes(&wire, inner, afar(family), [own, stranger]);
            wire.send(&udp(stranger, own, b"answers"));
            settle();
            assert!(dns.heard().is_empty(), "{policy}, {all}, {own}");
        }
    }
}
