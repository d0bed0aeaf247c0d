//! A stranger asks an open service in the host's own name, from a protected port: the answer would come to that port
//! over `lo`, where nothing is filtered.

use std::net::{IpAddr, SocketAddr};

use sknock_tests::ip_packet::udp;
use sknock_tests::{Authority, Daemon, Wire, World};

use super::forged_flows::{OPEN, RULES, config};
use super::stage::{DNS, Dns, settle};

/// Names of this host that a packet from the wire can have as its source, and where it then goes.
fn disguises(wire: &Wire) -> Vec<(IpAddr, IpAddr)> {
    let [v4, v6] = World::GATEWAY_TO_STRANGER;
    let link = IpAddr::from(wire.link_local_of_peer());
    let at = |address: &str| address.parse().unwrap();
    vec![
        (at("0.0.0.0"), at("255.255.255.255")),
        (at("255.255.255.255"), v4),
        (at("10.77.2.255"), v4),
        (at("127.0.0.1"), v4),
        (v4, v4),
        (v4, at("255.255.255.255")),
        (v6, v6),
        (World::GATEWAY[1], v6),
        (link, link),
        (v6, at("ff02::1")),
        (at("::"), v6),
        (at("::"), at("ff02::1")),
        (at("::1"), v6),
        (at("fd77:2::"), v6),
    ]
}

/// A host that takes packets from its own addresses by the wire, also over IPv4.
fn take_own_addresses(world: &World) {
    for interface in ["all", "st"] {
        world.gateway.set(&format!("ipv4/conf/{interface}/accept_local"), "1");
        world.gateway.set(&format!("ipv4/conf/{interface}/rp_filter"), "0");
    }
}

/// Everything that may be delivered with the host's own address.
fn ask(wire: &Wire, what: &str) {
    for (from, to) in disguises(wire) {
        let what = format!("{what}: {from} to {to}");
        let (from, to) = (SocketAddr::new(from, DNS), SocketAddr::new(to, OPEN));
        wire.send(&udp(from, to, what.as_bytes()));
    }
    settle();
}

#[test]
fn no_open_service_answers_to_a_protected_port_of_the_host_itself() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        take_own_addresses(&world);
        world.gateway.track_connections();
        let dns = Dns::new(&world.gateway, "cl");
        let open = Dns::on(&world.gateway, "st", OPEN);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        // Without rules they are answered, and have entries when the daemon starts.
        ask(&wire, "before");
        open.heard();
        settle();
        let reflected = dns.overheard();
        assert!(reflected.len() >= 4, "{rules:?}: {reflected:?}");
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for round in 0..2 {
            ask(&wire, "after");
            open.heard();
            settle();
            let reflected = dns.overheard();
            assert!(reflected.is_empty(), "{rules:?}: {round}: {reflected:?}");
        }
        let own = World::GATEWAY_TO_STRANGER.map(|address| SocketAddr::new(address, OPEN));
        for (from, to) in World::STRANGER.into_iter().zip(own) {
            wire.send(&udp(SocketAddr::new(from, DNS), to, b"in its own name"));
            settle();
            assert!(open.heard().contains("in its own name"), "{rules:?}: {to}");
        }
    }
}

/// The host's address of one link, on another: there it is none of its own, and the entry of the flow is made.
#[test]
fn no_open_service_answers_to_an_address_of_another_link() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let dns = Dns::new(&world.gateway, "cl");
        let open = Dns::on(&world.gateway, "st", OPEN);
        let here = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let there = Wire::new(&world.client, World::GATEWAY[0]);
        let far = IpAddr::from(there.link_local_of_peer());
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let to = SocketAddr::new(World::GATEWAY_TO_STRANGER[1], OPEN);
        here.send(&udp(SocketAddr::new(far, DNS), to, b"here"));
        settle();
        assert!(open.heard().contains("here"), "{rules:?}: the flow has no entry");
        for _ in 0..2 {
            there.send(&udp(SocketAddr::new(far, DNS), to, b"there"));
            settle();
            open.heard();
            settle();
            let reflected = dns.overheard();
            assert!(reflected.is_empty(), "{rules:?}: {reflected:?}");
        }
    }
}

/// The flow is older than the address (VRRP, DHCP, SLAAC).
#[test]
fn no_open_service_answers_to_an_address_that_the_host_got_later() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        take_own_addresses(&world);
        let dns = Dns::new(&world.gateway, "cl");
        let open = Dns::on(&world.gateway, "st", OPEN);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for (later, own) in ["10.77.2.50", "fd77:2::50"].into_iter().zip(World::GATEWAY_TO_STRANGER)
        {
            let from = SocketAddr::new(later.parse().unwrap(), DNS);
            // To the host, and to everybody.
            let everybody = if later.contains(':') { "ff02::1" } else { "255.255.255.255" };
            let places = [own, everybody.parse().unwrap()].map(|to| SocketAddr::new(to, OPEN));
            for to in places {
                wire.send(&udp(from, to, b"before"));
                settle();
                assert!(open.heard().contains("before"), "{rules:?}: {to}");
            }
            let length = if later.contains(':') { "64 nodad" } else { "24" };
            world.gateway.ip(&format!("addr add {later}/{length} dev st"));
            settle();
            for to in places {
                wire.send(&udp(from, to, b"after"));
                settle();
                open.heard();
                settle();
                let reflected = dns.overheard();
                assert!(!reflected.contains("after"), "{rules:?}: {to}: {reflected:?}");
            }
        }
    }
}

/// A router has an anycast address for each of its networks (RFC 4291, 2.6.1).
#[test]
fn no_open_service_answers_to_an_anycast_address_of_the_host() {
    for rules in RULES {
        let (world, authority) = (World::with_inner(), Authority::new());
        world.gateway.track_connections();
        let dns = Dns::new(&world.gateway, "cl");
        let open = Dns::on(&world.gateway, "st", OPEN);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let from = SocketAddr::new("fd77:2::".parse().unwrap(), DNS);
        let to = SocketAddr::new(World::GATEWAY_TO_STRANGER[1], OPEN);
        wire.send(&udp(from, to, b"before"));
        settle();
        open.heard();
        settle();
        assert!(dns.overheard().contains("before"), "{rules:?}: nothing is reflected");
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for _ in 0..2 {
            wire.send(&udp(from, to, b"after"));
            settle();
            open.heard();
            settle();
            let reflected = dns.overheard();
            assert!(reflected.is_empty(), "{rules:?}: {reflected:?}");
        }
    }
}

/// The host has sent from the protected port to another host's address, which it takes over (VRRP).
#[test]
fn no_open_service_answers_in_a_flow_that_the_host_began_to_an_address_it_got_later() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        take_own_addresses(&world);
        let dns = Dns::new(&world.gateway, "cl");
        let open = Dns::on(&world.gateway, "st", OPEN);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let owns = World::GATEWAY_TO_STRANGER;
        for (family, (later, own)) in ["10.77.2.50", "fd77:2::50"].into_iter().zip(owns).enumerate()
        {
            let length = if later.contains(':') { "64 nodad" } else { "24" };
            world.stranger.ip(&format!("addr add {later}/{length} dev st"));
            let to = SocketAddr::new(later.parse().unwrap(), OPEN);
            settle();
            dns.say(family, b"by the host", to);
            settle();
            let plain = length.split(' ').next().unwrap();
            world.stranger.ip(&format!("addr del {later}/{plain} dev st"));
            world.gateway.ip(&format!("addr add {later}/{length} dev st"));
            settle();
            wire.send(&udp(SocketAddr::new(own, DNS), to, b"forged"));
            settle();
            open.heard();
            settle();
            let reflected = dns.overheard();
            assert!(reflected.is_empty(), "{rules:?}: {later}: {reflected:?}");
        }
    }
}
