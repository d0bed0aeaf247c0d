//! With `reject`, a protected port and the knock port answer as a closed port that nobody protects:
//! every field of every header is compared. What tells them all the same is listed here and in THREATS.

mod probes;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::packet::{Fault, Packet, Segment, Wire, comparable};
use sknock_tests::wait::until;
use sknock_tests::{Authority, Daemon, Echo, World};

use crate::config;
use probes::{Probe, tcp, udp};

/// Protected ports, where services listen, and the knock port.
const SSH: u16 = 22;
const DNS: u16 = 53;
const KNOCK: u16 = 62344;
/// Their neighbours, that nobody protects and where nobody listens.
const CLOSED_TCP: u16 = 23;
const CLOSED_UDP: u16 = 54;

/// On one machine an answer is there at once; a busy one gets a second chance. So does silence at both
/// ports, which may be that of a busy machine.
const PATIENCE: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Compares what two ports answer to one probe; what each said, if that is not the same.
fn told_apart(
    wire: &Wire,
    to: IpAddr,
    packet: &Packet,
    ports: [u16; 2],
    source: u16,
) -> Option<String> {
    let here = World::STRANGER[usize::from(to.is_ipv6())];
    let ask = |port, source, patience| {
        let (from, to) = ((here, source), (to, port));
        wire.ask(&packet.between(from, to), from, to, patience).map(|said| comparable(&said))
    };
    let mut said = [None, None];
    for (round, patience) in (0..).zip(PATIENCE) {
        // Another source port: the first round may have left an entry in conntrack.
        said = ports.map(|port| ask(port, source + round, patience));
        if said[0] == said[1] && said[0].is_some() {
            return None;
        }
    }
    if said[0] == said[1] {
        return None;
    }
    Some(format!("{ports:?}: {:02x?}\n    {:02x?}", said[0], said[1]))
}

/// Once a closed port has answered, both ends know each other's link address: silence is no delay then.
fn find_the_way(wire: &Wire, to: IpAddr) {
    let here = World::STRANGER[usize::from(to.is_ipv6())];
    let (from, to) = ((here, 19_999), (to, CLOSED_UDP));
    let packet = Packet::udp(vec![0]).between(from, to);
    until("a closed port answers", || wire.ask(&packet, from, to, PATIENCE[1]).is_some());
}

/// The names of all probes that tell the two ports apart, with the family.
fn telling(world: &World, probes: &[Probe], ports: [u16; 2]) -> BTreeSet<String> {
    let wire = Wire::new(&world.stranger);
    for to in World::GATEWAY_TO_STRANGER {
        find_the_way(&wire, to);
    }
    let mut telling = BTreeSet::new();
    let mut source = 20_000;
    for probe in probes {
        for to in World::GATEWAY_TO_STRANGER {
            let Some(packet) = probe.over(to.is_ipv6()) else { continue };
            source += 2;
            if let Some(how) = told_apart(&wire, to, &packet, ports, source) {
                let family = if to.is_ipv6() { "IPv6" } else { "IPv4" };
                println!("{family} {}: {how}", probe.name);
                telling.insert(format!("{family} {}", probe.name));
            }
        }
    }
    telling
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Protects these two ports, or all but their neighbours.
fn scene(intake: &str, all: bool, look: impl FnOnce(&World, &str)) {
    let (world, authority) = (World::new(), Authority::new());
    let _services = (Echo::tcp(&world.gateway, SSH), Echo::udp(&world.gateway, DNS));
    // More probes than any limit of ICMP lets be answered.
    for switch in ["ipv4/icmp_msgs_per_sec", "ipv4/icmp_msgs_burst"] {
        let file = format!("/proc/sys/net/{switch}");
        let _ = world.gateway.inside(|| std::fs::write(file, "1000000"));
    }
    let config = config(&authority, intake, ("reject", all));
    let config = if all {
        config.set("alwaysOpenPorts", "tcp/23, udp/54")
    } else {
        config.set("protectedPorts", "tcp/22, udp/53")
    };
    let _daemon = Daemon::start(&world.gateway, &config);
    look(&world, &format!("intake = {intake}, all = {all}"));
}

fn each_scene(look: impl Fn(&World, &str) + Sync) {
    thread::scope(|scope| {
        for (intake, all) in
            [("nflog", false), ("nflog", true), ("socket", false), ("socket", true)]
        {
            let look = &look;
            scope.spawn(move || scene(intake, all, look));
        }
    });
}

/// What tells a protected TCP port from a closed one: see THREATS.
const TCP_TOLD: [&str; 10] = [
    "IPv4 flags A, option record route",
    "IPv4 flags A, option timestamp",
    "IPv4 flags S, a header of 0 bytes",
    "IPv4 flags S, a header of 16 bytes",
    "IPv4 flags S, a header that is longer than all",
    "IPv4 flags S, option record route",
    "IPv4 flags S, option timestamp",
    "IPv6 flags S, a header of 0 bytes",
    "IPv6 flags S, a header of 16 bytes",
    "IPv6 flags S, a header that is longer than all",
];

/// The same of UDP.
const UDP_TOLD: [&str; 0] = [];

#[test]
fn every_header_of_a_protected_tcp_port_is_that_of_a_closed_one() {
    each_scene(|world, what| {
        assert_eq!(telling(world, &tcp(), [SSH, CLOSED_TCP]), set(&TCP_TOLD), "{what}");
    });
}

#[test]
fn every_header_of_a_protected_udp_port_is_that_of_a_closed_one() {
    each_scene(|world, what| {
        assert_eq!(telling(world, &udp(), [DNS, CLOSED_UDP]), set(&UDP_TOLD), "{what}");
    });
}

/// A bound socket takes what is as long as a knock, so no error comes back: THREATS says so.
#[test]
fn every_header_of_the_knock_port_is_that_of_a_closed_one() {
    each_scene(|world, what| {
        let told = telling(world, &udp(), [KNOCK, CLOSED_UDP]);
        let bound = what.contains("socket");
        let as_long = |probe: &&Probe| match &probe.packet.segment {
            // A wrong checksum is answered nowhere.
            _ if probe.packet.fault == Fault::Checksum => false,
            Segment::Udp { payload } => payload.len() == DATAGRAM_LENGTH,
            Segment::Tcp { .. } => false,
        };
        let all = udp();
        let expected = all.iter().filter(as_long).filter(|_| bound).flat_map(|probe| {
            let families = [("IPv4", false), ("IPv6", true)];
            let over = families.into_iter().filter(|(_, v6)| probe.over(*v6).is_some());
            over.map(|(family, _)| format!("{family} {}", probe.name))
        });
        let expected: BTreeSet<_> = expected.chain(set(&UDP_TOLD)).collect();
        assert_eq!(told, expected, "{what}");
    });
}

/// Of other tables, in which answers pass that belong to a flow, or only packets that conntrack knows.
const BY_STATE: [&str; 2] = [
    "table inet other {
    chain leaving {
        type filter hook output priority filter; policy drop
        oif lo accept
        ct state established,related accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        udp sport 62344 accept
    }
}",
    "table inet other {
    chain arriving {
        type filter hook input priority filter
        ct state invalid drop
        meta l4proto udp ct state untracked drop
    }
}",
];

#[test]
fn so_it_is_beside_a_firewall_that_goes_by_states() {
    thread::scope(|scope| {
        for (ruleset, all) in BY_STATE.into_iter().flat_map(|one| [(one, false), (one, true)]) {
            scope.spawn(move || {
                scene("nflog", all, |world, what| {
                    world.gateway.nft(ruleset);
                    for port in [KNOCK, DNS] {
                        let told = telling(world, &udp(), [port, CLOSED_UDP]);
                        assert_eq!(told, set(&UDP_TOLD), "{what}, port {port}, {ruleset}");
                    }
                });
            });
        }
    });
}

/// The comparison sees a difference if there is one: a port where something answers.
#[test]
fn an_open_port_is_told_from_a_closed_one_by_the_same_comparison() {
    let world = World::new();
    let _services = (Echo::tcp(&world.gateway, SSH), Echo::udp(&world.gateway, DNS));
    let told = telling(&world, &tcp(), [SSH, CLOSED_TCP]);
    assert!(told.contains("IPv4 flags S") && told.contains("IPv6 flags S"), "{told:?}");
    let told = telling(&world, &udp(), [DNS, CLOSED_UDP]);
    assert!(told.contains("IPv4 1 bytes") && told.contains("IPv6 1 bytes"), "{told:?}");
}
