//! A published port whose machine may dial out in the gateway's name: a packet by the wire from that machine's
//! address makes an entry to whose answers nobody asks for a grant.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use sknock_tests::ip_packet::{ACK, Packet, SYN, Segment, tcp, udp};
use sknock_tests::wait::some;
use sknock_tests::{Authority, Client, Config, Daemon, Wire, World};

use super::stage::{Dns, accepted, anyone, listener, settle};

/// As dialled, and where the service is.
const TCP: u16 = 8080;
pub(crate) const UDP: u16 = 60_000;
/// As dialled, and where it leads.
pub(crate) const LEADS: u16 = 60_001;
pub(crate) const ELSEWHERE: u16 = 8000;
/// The stranger's.
pub(crate) const THEIRS: u16 = 20_001;

pub(crate) fn publish(world: &World) {
    let [v4, v6] = World::INNER;
    world.gateway.nft(&format!(
        "table inet nat {{
            chain prerouting {{
                type nat hook prerouting priority dstnat
                ip daddr != {v4} tcp dport {TCP} dnat ip to {v4}
                ip daddr != {v4} udp dport {UDP} dnat ip to {v4}
                ip6 daddr != {v6} tcp dport {TCP} dnat ip6 to {v6}
                ip6 daddr != {v6} udp dport {UDP} dnat ip6 to {v6}
                ip daddr != {v4} udp dport {LEADS} dnat ip to {v4}:{ELSEWHERE}
                ip6 daddr != {v6} udp dport {LEADS} dnat ip6 to [{v6}]:{ELSEWHERE}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat
                ip saddr {v4} oifname != in masquerade
                ip6 saddr {v6} oifname != in masquerade
            }}
        }}"
    ));
    for interface in ["all", "st", "cl"] {
        world.gateway.set(&format!("ipv4/conf/{interface}/rp_filter"), "0");
    }
}

pub(crate) fn config(authority: &Authority, (policy, all): (&str, bool)) -> Config {
    let config = Config::new(authority).set("firewallPolicy", policy).set("alwaysOpenPorts", "");
    let some = format!("tcp/{TCP}, udp/{UDP}, udp/{LEADS}");
    if all { config.without("protectedPorts") } else { config.set("protectedPorts", &some) }
}

/// What the machine behind the gateway and the stranger say to each other's address, as the stranger's.
pub(crate) fn ends(family: usize, port: u16) -> [SocketAddr; 3] {
    let at = |address: IpAddr, port| SocketAddr::new(address, port);
    let (inner, own) = (World::INNER[family], World::GATEWAY_TO_STRANGER[family]);
    [at(inner, port), at(own, port), at(World::STRANGER[family], THEIRS)]
}

#[test]
fn no_syn_is_accepted_by_an_entry_of_the_published_machine() {
    for rules in [("drop", false), ("reject", false), ("drop", true), ("reject", true)] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        // At the published number, and at one to which another leads. A SYN begins the flow, or seems lost.
        for (port, first) in [(TCP, SYN), (ELSEWHERE, SYN), (ELSEWHERE, ACK)] {
            let web = listener(world.inner(), port);
            for family in 0..2 {
                let [inner, own, stranger] = ends(family, port);
                let stranger = SocketAddr::new(stranger.ip(), THEIRS + u16::from(first));
                let dials = Segment { flags: first, sequence: 1, ..Segment::default() };
                wire.send(&tcp(inner, stranger, &dials));
                settle();
                wire.heard();
                for flags in [SYN, SYN | ACK, ACK, SYN] {
                    let answers = Segment { flags, sequence: 1000, acknowledged: 2, data: b"" };
                    wire.send(&tcp(stranger, own, &answers));
                    settle();
                }
                let heard = wire.heard();
                let agreed = heard.iter().find(|packet| packet.is_syn_ack());
                assert!(agreed.is_none(), "{rules:?}: {agreed:?}");
                assert!(accepted(&web).is_empty(), "{rules:?}");
            }
        }
    }
}

#[test]
fn no_datagram_is_admitted_by_an_entry_its_machine_cannot_have_begun() {
    for rules in [("drop", false), ("reject", false), ("drop", true), ("reject", true)] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        // With `protectedPorts`, the number that a published port leads to must be one of them.
        for &port in if rules.1 { &[UDP, ELSEWHERE][..] } else { &[UDP] } {
            let dns = Dns::on(world.inner(), "in", port);
            for family in 0..2 {
                let [inner, own, stranger] = ends(family, port);
                wire.send(&udp(inner, stranger, b"begins"));
                settle();
                wire.send(&udp(stranger, own, b"answers"));
                settle();
                assert!(dns.heard().is_empty(), "{rules:?}, {own}");
            }
        }
    }
}

/// The machine dials out after somebody has forged its first datagram.
#[test]
fn a_forged_first_datagram_does_not_end_a_flow() {
    for rules in [("drop", false), ("reject", true)] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let dns = Dns::on(world.inner(), "in", UDP);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for family in 0..2 {
            let [inner, own, stranger] = ends(family, UDP);
            wire.send(&udp(inner, stranger, b"forged"));
            settle();
            wire.heard();
            dns.say(family, b"begins", stranger);
            let began = |packet: &Packet| packet.from == own && packet.to == stranger;
            wire.wait_for("the machine's own datagram", began);
            wire.send(&udp(stranger, own, b"answers"));
            some("the answer", || dns.heard().contains("answers").then_some(()));
        }
    }
}

/// Forged while the port was open: before the first start, and before a reload that protects it. In a conntrack zone of
/// another table the server deletes no entries.
#[test]
fn no_datagram_is_admitted_by_a_masqueraded_flow_from_before_the_protection() {
    for (rules, reloaded, zone) in [
        (("drop", false), false, false),
        (("drop", false), true, false),
        (("drop", false), false, true),
        (("reject", true), false, false),
        (("reject", true), false, true),
    ] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        if zone {
            world.gateway.nft(
                "table inet zones {
                    chain prerouting { type filter hook prerouting priority raw; ct zone set 5; }
                    chain output { type filter hook output priority raw; ct zone set 5; }
                }",
            );
        }
        world.gateway.track_connections();
        let dns = Dns::on(world.inner(), "in", UDP);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let closed = config(&authority, rules);
        let open = config(&authority, rules).set("protectedPorts", "tcp/22");
        let earlier = reloaded.then(|| Daemon::start_settled(&world.gateway, &open));
        for family in 0..2 {
            let [inner, own, stranger] = ends(family, UDP);
            wire.send(&udp(inner, stranger, b"begins"));
            settle();
            wire.send(&udp(stranger, own, b"answers"));
            some("an answer while it is open", || dns.heard().contains("answers").then_some(()));
        }
        let _daemon = if let Some(daemon) = earlier {
            daemon.configure(&closed);
            daemon.reload();
            daemon
        } else {
            Daemon::start_settled(&world.gateway, &closed)
        };
        settle();
        dns.overheard();
        for family in 0..2 {
            let [_, own, stranger] = ends(family, UDP);
            wire.send(&udp(stranger, own, b"later"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}, {own}, zone: {zone}");
        }
    }
}

/// In the machine's name. The client's own datagrams would be taken for answers to that.
#[test]
fn no_local_user_begins_a_flow_in_the_name_of_a_machine_from_a_protected_port() {
    for policy in ["drop", "reject"] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let dns = Dns::on(world.inner(), "in", UDP);
        let config = config(&authority, (policy, false));
        let _daemon = Daemon::start_settled(&world.gateway, &config);
        let alice = Client::alice(&world.client, &authority);
        let to = SocketAddr::new(World::GATEWAY[1], UDP);
        let there = sknock_tests::reach::udp_socket(&world.client, to).unwrap();
        let mallory = world.gateway.inside(|| anyone(ends(1, UDP)[0]));
        let sent = mallory.send_to(b"begins", there.local_addr().unwrap());
        assert_eq!(sent.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
        alice.seal(&["udp/60000"]).send(&world.client, to.ip()).must_be_granted();
        there.send(b"by alice").unwrap();
        some("what alice sends", || dns.heard().contains("by alice").then_some(()));
    }
}

/// In the machine's name, out of the gateway. Where all traffic is closed, transparent proxies send so.
#[test]
fn no_datagram_is_admitted_by_an_entry_that_a_local_user_began() {
    for rules in [("drop", true), ("reject", true)] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let dns = Dns::on(world.inner(), "in", UDP);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let [inner, own, stranger] = ends(1, UDP);
        wire.heard();
        let mallory = world.gateway.inside(|| anyone(inner));
        mallory.send_to(b"begins", stranger).unwrap();
        let left = |packet: &Packet| packet.from == own && packet.to == stranger;
        wire.wait_for("the local user's datagram", left);
        wire.send(&udp(stranger, own, b"answers"));
        settle();
        assert!(dns.heard().is_empty(), "{rules:?}");
    }
}

/// The machine itself begins flows from the same port, and answers who was let in.
#[test]
fn the_published_machine_dials_out_and_serves_clients_with_a_grant() {
    for rules in [("drop", false), ("reject", true)] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let dns = Dns::on(world.inner(), "in", UDP);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let alice = Client::alice(&world.client, &authority);
        for family in 0..2 {
            let [_, own, stranger] = ends(family, UDP);
            dns.say(family, b"begins", stranger);
            let began = |packet: &Packet| packet.from == own && packet.to == stranger;
            wire.wait_for("the machine's own datagram", began);
            wire.send(&udp(stranger, own, b"answers"));
            some("the answer", || dns.heard().contains("answers").then_some(()));
            let door = World::GATEWAY[family];
            alice.seal(&["udp/60000"]).send(&world.client, door).must_be_granted();
            let there = sknock_tests::reach::udp_socket(&world.client, (door, UDP).into()).unwrap();
            there.send(b"by alice").unwrap();
            some("what alice sends", || dns.heard().contains("by alice").then_some(()));
        }
    }
}

/// Where another machine has taken the number, masquerading gives the published one another.
#[test]
fn no_packet_is_admitted_where_masquerading_changed_the_port() {
    for rules in [("drop", false), ("reject", false), ("drop", true), ("reject", true)] {
        let (world, authority) = (World::with_inner(), Authority::new());
        publish(&world);
        world.gateway.nft(
            "table inet more {
                chain postrouting {
                    type nat hook postrouting priority srcnat
                    ip saddr 10.77.3.0/24 oifname != in masquerade
                    ip6 saddr fd77:3::/64 oifname != in masquerade
                }
            }",
        );
        let (web, dns) = (listener(world.inner(), TCP), Dns::on(world.inner(), "in", UDP));
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for (family, other) in ["10.77.3.9", "fd77:3::9"].into_iter().enumerate() {
            let other = |port| SocketAddr::new(other.parse().unwrap(), port);
            let syn = Segment { flags: SYN, sequence: 1, ..Segment::default() };
            let [inner, own, stranger] = ends(family, TCP);
            let as_given = |what: &str| {
                let given = |packet: &Packet| packet.from.ip() == own.ip() && packet.to == stranger;
                wire.wait_for(what, given).from
            };
            wire.send(&tcp(other(TCP), stranger, &syn));
            assert_eq!(as_given("the other machine's SYN"), own);
            wire.send(&tcp(inner, stranger, &syn));
            let changed = as_given("a SYN of the machine");
            assert_ne!(changed, own);
            wire.send(&tcp(stranger, changed, &syn));
            settle();
            let heard = wire.heard();
            let agreed = heard.iter().find(|packet| packet.is_syn_ack());
            assert!(agreed.is_none(), "{rules:?}: {agreed:?}");
            assert!(accepted(&web).is_empty(), "{rules:?}");

            let [inner, own, _] = ends(family, UDP);
            wire.send(&udp(other(UDP), stranger, b"begins"));
            assert_eq!(as_given("the other machine's datagram"), own);
            wire.send(&udp(inner, stranger, b"begins"));
            let changed = as_given("a datagram of the machine");
            assert_ne!(changed, own);
            wire.send(&udp(stranger, changed, b"answers"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}, {changed}");
        }
    }
}
