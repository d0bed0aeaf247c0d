//! Packets by the wire that name the host's own address as their source, as if the host had begun a flow at
//! a protected port: its peer would need no grant.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};

use nix::net::if_::if_nametoindex;
use sknock_tests::ip_packet::{ACK, Packet, SYN, Segment, tcp, udp};
use sknock_tests::{Authority, Config, Daemon, Wire, World};

use super::stage::{DNS, Dns, GROUP4, GROUP6, SSH, accepted, listener, settle};

/// A port of the host that nobody protects.
const OTHER: u16 = 7777;
/// A port of the stranger's.
const THEIRS: u16 = 20_001;

/// Which ports are closed, as the rows of a table: policy, whether all ports are, intake.
const RULES: [(&str, bool, &str); 4] = [
    ("drop", false, "nflog"),
    ("reject", false, "socket"),
    ("drop", true, "socket"),
    ("reject", true, "nflog"),
];

fn config(authority: &Authority, (policy, all, intake): (&str, bool, &str)) -> Config {
    let config = Config::new(authority).set("firewallPolicy", policy).set("intake", intake);
    if all { config.set("alwaysOpenPorts", "").without("protectedPorts") } else { config }
}

/// A host that takes packets from its own addresses in IPv4, too, as it always does in IPv6.
fn credulous(world: &World) {
    for interface in ["all", "st"] {
        world.gateway.set(&format!("ipv4/conf/{interface}/accept_local"), "1");
        world.gateway.set(&format!("ipv4/conf/{interface}/rp_filter"), "0");
    }
}

fn datagram(wire: &Wire, from: (IpAddr, u16), to: (IpAddr, u16), says: &str) {
    wire.send(&udp(from.into(), to.into(), says.as_bytes()));
}

/// The host does not forward: to its own address.
#[test]
fn no_forged_packet_from_the_hosts_own_address_admits_another() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        credulous(&world);
        let dns = Dns::new(&world.gateway, "st");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let link_local = IpAddr::from(wire.link_local_of_peer());
        for own in World::GATEWAY_TO_STRANGER.into_iter().chain([link_local]) {
            datagram(&wire, (own, DNS), (own, OTHER), "begins");
            settle();
            datagram(&wire, (own, OTHER), (own, DNS), "answers");
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}, {own}");
        }
    }
}

/// The host forwards: to the stranger itself, who then talks with the service.
#[test]
fn no_forged_packet_from_a_routers_own_address_admits_its_sender() {
    for rules in RULES {
        let (world, authority) = (World::with_inner(), Authority::new());
        credulous(&world);
        let (dns, ssh) = (Dns::new(&world.gateway, "st"), listener(&world.gateway, SSH));
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for (own, theirs) in World::GATEWAY_TO_STRANGER.into_iter().zip(World::STRANGER) {
            datagram(&wire, (own, DNS), (theirs, THEIRS), "begins");
            let dials = Segment { flags: SYN, sequence: 1, ..Segment::default() };
            let (host, stranger) = (SocketAddr::new(own, SSH), SocketAddr::new(theirs, THEIRS));
            wire.send(&tcp(host, stranger, &dials));
            settle();
            wire.heard();
            datagram(&wire, (theirs, THEIRS), (own, DNS), "answers");
            for flags in [SYN | ACK, SYN, ACK] {
                let answers = Segment { flags, sequence: 100, acknowledged: 2, data: b"" };
                wire.send(&tcp(stranger, host, &answers));
                settle();
            }
            assert!(dns.heard().is_empty(), "{rules:?}, {own}");
            assert!(accepted(&ssh).is_empty(), "{rules:?}, {own}");
            let heard = wire.heard();
            assert!(!heard.iter().any(Packet::is_syn_ack), "{rules:?}: {heard:?}");
            // With `reject` a port where nobody listens answers, too.
            let silent = rules.0 == "drop";
            let said = heard.iter().find(|packet| packet.from == host);
            assert!(!silent || said.is_none(), "{rules:?}: {said:?}");
        }
    }
}

/// A program of the host talks with the service over `lo`. Nobody else takes part.
#[test]
fn no_other_sender_can_join_a_local_flow_of_the_host() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        credulous(&world);
        let dns = Dns::new(&world.gateway, "st");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for own in World::GATEWAY_TO_STRANGER {
            let local = world.gateway.inside(|| UdpSocket::bind((own, OTHER))).unwrap();
            for _ in 0..2 {
                local.send_to(b"by itself", (own, DNS)).unwrap();
                settle();
                assert!(dns.heard().contains("by itself"), "{rules:?}, {own}: over lo");
            }
            datagram(&wire, (own, OTHER), (own, DNS), "joins");
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}, {own}");
        }
    }
}

/// What a host sends to a group that it has joined comes back by the same interface, from its own address.
#[test]
fn multicast_of_the_host_from_a_protected_port_reaches_itself() {
    let (world, authority) = (World::new(), Authority::new());
    let gateway = &world.gateway;
    gateway.ip("route add 239.0.0.0/8 dev st\nroute add ff05::/16 dev st table local");
    let config = config(&authority, ("drop", false, "nflog"));
    let _daemon = Daemon::start_settled(gateway, &config);
    let hears = Dns::on(gateway, "st", OTHER);
    let [own4, own6] = World::GATEWAY_TO_STRANGER;
    let index = gateway.inside(|| if_nametoindex("st")).unwrap();
    let groups =
        [SocketAddr::from((GROUP4, OTHER)), SocketAddrV6::new(GROUP6, OTHER, 0, index).into()];
    for (own, group) in [own4, own6].into_iter().zip(groups) {
        let sends = gateway.inside(|| UdpSocket::bind((own, DNS))).unwrap();
        sends.send_to(b"to all", group).unwrap();
        settle();
        assert!(hears.heard().contains("to all"), "{group}");
    }
}
