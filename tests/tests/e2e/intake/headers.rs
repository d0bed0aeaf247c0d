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
use sknock_tests::{Authority, Client, Daemon, Echo, World};

use super::{Policy, config};
use probes::{Probe, odd, tcp, udp};

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

/// Compares what is answered to two packets at two ports; what each said, if that is not the same.
///
/// An answer quotes what it is about: `quoted` says which bytes of the second one stand for those of the first.
fn told_apart(
    wire: &Wire,
    to: IpAddr,
    asked: [(&Packet, u16); 2],
    quoted: Option<&Replaced>,
    source: u16,
) -> Option<String> {
    let here = World::STRANGER[usize::from(to.is_ipv6())];
    let ask = |(packet, port): (&Packet, u16), source, patience| {
        let (from, to) = ((here, source), (to, port));
        let said = wire.ask(&packet.between(from, to), from, to, patience);
        said.map(|said| comparable(&quoted.map_or(said.clone(), |quoted| quoted.undo(said))))
    };
    let mut said = [None, None];
    for (round, patience) in (0..).zip(PATIENCE) {
        // Another source port: the first round may have left an entry in conntrack.
        said = asked.map(|one| ask(one, source + round, patience));
        if said[0] == said[1] && said[0].is_some() {
            return None;
        }
    }
    if said[0] == said[1] {
        return None;
    }
    let ports = asked.map(|(_, port)| port);
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
    telling_altered(world, probes, ports, |packet| (packet.clone(), None))
}

/// The same, where the second port gets an altered packet.
fn telling_altered(
    world: &World,
    probes: &[Probe],
    [one, other]: [u16; 2],
    alter: impl Fn(&Packet) -> (Packet, Option<Replaced>),
) -> BTreeSet<String> {
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
            let (altered, quoted) = alter(&packet);
            let asked = [(&packet, one), (&altered, other)];
            if let Some(how) = told_apart(&wire, to, asked, quoted.as_ref(), source) {
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
fn scene(intake: &str, all: bool, look: impl FnOnce(&World, &Authority, &str)) {
    scene_under(intake, ("reject", all), look);
}

fn scene_under(intake: &str, policy: Policy, look: impl FnOnce(&World, &Authority, &str)) {
    let all = policy.1;
    let (world, authority) = (World::new(), Authority::new());
    let _services = (Echo::tcp(&world.gateway, SSH), Echo::udp(&world.gateway, DNS));
    // More probes than any limit of ICMP lets be answered.
    for switch in ["ipv4/icmp_msgs_per_sec", "ipv4/icmp_msgs_burst"] {
        let file = format!("/proc/sys/net/{switch}");
        let _ = world.gateway.inside(|| std::fs::write(file, "1000000"));
    }
    let config = config(&authority, intake, policy);
    let config = if policy.0 == "none" {
        config.set("protectedPorts", "")
    } else if all {
        config.set("alwaysOpenPorts", "tcp/23, udp/54")
    } else {
        config.set("protectedPorts", "tcp/22, udp/53")
    };
    let _daemon = Daemon::start(&world.gateway, &config);
    look(&world, &authority, &format!("intake = {intake}, {policy:?}"));
}

fn each_scene(look: impl Fn(&World, &Authority, &str) + Sync) {
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
    each_scene(|world, _, what| {
        assert_eq!(telling(world, &tcp(), [SSH, CLOSED_TCP]), set(&TCP_TOLD), "{what}");
    });
}

#[test]
fn every_header_of_a_protected_udp_port_is_that_of_a_closed_one() {
    each_scene(|world, _, what| {
        assert_eq!(telling(world, &udp(), [DNS, CLOSED_UDP]), set(&UDP_TOLD), "{what}");
    });
}

/// The first eight bytes of a datagram, and what stands in their place, with the same sum: so no checksum differs, of
/// the datagram or of an answer that quotes it.
struct Replaced {
    plain: [u8; 8],
    altered: [u8; 8],
}

impl Replaced {
    /// `altered` differs from `plain` in its first four bytes; the next four make up for that.
    fn balanced<const N: usize>(plain: [u8; N], mut altered: [u8; N]) -> ([u8; N], Self) {
        let word =
            |bytes: &[u8], at: usize| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        for at in [0, 2] {
            let sum = word(&plain, at) + word(&plain, at + 4) + 0xffff - word(&altered, at);
            let rest = u16::try_from(sum % 0xffff).expect("16 bits");
            altered[at + 4..at + 6].copy_from_slice(&rest.to_be_bytes());
        }
        let begin = |bytes: &[u8]| bytes[..8].try_into().expect("eight");
        (altered, Self { plain: begin(&plain), altered: begin(&altered) })
    }

    fn undo(&self, mut said: Vec<u8>) -> Vec<u8> {
        let found = said.windows(8).position(|part| part == self.altered);
        if let Some(at) = found {
            said[at..at + 8].copy_from_slice(&self.plain);
        }
        said
    }
}

/// What is as long as a knock has no tag here, as from anybody without the server's certificate.
#[test]
fn every_header_of_the_knock_port_is_that_of_a_closed_one() {
    each_scene(|world, _, what| {
        assert_eq!(telling(world, &udp(), [KNOCK, CLOSED_UDP]), set(&UDP_TOLD), "{what}");
    });
}

/// Where nothing listens at the knock port and nobody closes it, the kernel answers to whatever is not plain.
#[test]
fn every_header_of_an_open_knock_port_is_that_of_a_closed_port_for_odd_datagrams() {
    for policy in [("reject", false), ("drop", false), ("none", false)] {
        scene_under("nflog", policy, |world, _, what| {
            assert_eq!(telling(world, &odd(), [KNOCK, CLOSED_UDP]), set(&UDP_TOLD), "{what}");
        });
    }
}

/// The same bytes with a tag. A bound socket takes them, so no error comes back: THREATS says so.
#[test]
fn a_tag_changes_no_header_of_the_answer_where_knocks_are_copied() {
    each_scene(|world, authority, what| {
        let client = Client::alice(&world.client, authority);
        let is_as_long = |probe: &Probe| match &probe.packet.segment {
            Segment::Udp { payload } => payload.len() == DATAGRAM_LENGTH,
            Segment::Tcp { .. } => false,
        };
        let probes: Vec<Probe> = udp().into_iter().filter(is_as_long).collect();
        let tagged = |packet: &Packet| {
            let Segment::Udp { payload } = &packet.segment else { panic!("no UDP") };
            let plain: [u8; DATAGRAM_LENGTH] = payload.as_slice().try_into().expect("as long");
            let (tagged, replaced) = Replaced::balanced(plain, client.tagged(plain));
            let segment = Segment::Udp { payload: tagged.to_vec() };
            (Packet { segment, ..packet.clone() }, Some(replaced))
        };
        let told = telling_altered(world, &probes, [KNOCK; 2], tagged);
        // A wrong checksum is answered nowhere.
        let expected = probes
            .iter()
            .filter(|probe| what.contains("socket") && probe.packet.fault != Fault::Checksum);
        let expected = expected.flat_map(|probe| {
            let families = [("IPv4", false), ("IPv6", true)];
            let over = families.into_iter().filter(|(_, v6)| probe.over(*v6).is_some());
            over.map(|(family, _)| format!("{family} {}", probe.name))
        });
        assert!(probes.len() > 10);
        assert_eq!(told, expected.collect(), "{what}");
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
fn every_udp_header_is_that_of_a_closed_port_beside_a_stateful_firewall() {
    thread::scope(|scope| {
        for (ruleset, all) in BY_STATE.into_iter().flat_map(|one| [(one, false), (one, true)]) {
            scope.spawn(move || {
                scene("nflog", all, |world, _, what| {
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
fn the_same_comparison_distinguishes_an_open_port_from_a_closed_one() {
    let world = World::new();
    let _services = (Echo::tcp(&world.gateway, SSH), Echo::udp(&world.gateway, DNS));
    let told = telling(&world, &tcp(), [SSH, CLOSED_TCP]);
    assert!(told.contains("IPv4 flags S") && told.contains("IPv6 flags S"), "{told:?}");
    let told = telling(&world, &udp(), [DNS, CLOSED_UDP]);
    assert!(told.contains("IPv4 1 bytes") && told.contains("IPv6 1 bytes"), "{told:?}");
}
