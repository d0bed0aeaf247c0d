//! Every address at which a host hears something.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use sknock_tests::ip_packet::{SYN, Segment, tcp, udp};
use sknock_tests::wire::{EVERYBODY, Mac};
use sknock_tests::{Authority, Config, Daemon, Wire, World};

use super::stage::{DNS, Dns, GROUP4, GROUP6, SSH, accepted, listener, settle};

/// Redirected by somebody to [`SSH`] and [`DNS`], whatever the destination; protected as dialled.
const DIALLED: u16 = 2222;

/// More addresses of the gateway: on its own link, local by the routing table, by a rule and a table.
const ADDRESSES: [&str; 8] = [
    "addr add 10.77.2.9/24 dev st",
    "addr add fd77:2::9/64 dev st nodad",
    "route add local 192.0.2.0/24 dev lo",
    "-6 route add local 2001:db8:1::/48 dev lo",
    "route add local 198.51.100.0/24 dev lo table 77",
    "-6 route add local 2001:db8:2::/48 dev lo table 77",
    "rule add to 198.51.100.0/24 lookup 77",
    "-6 rule add to 2001:db8:2::/48 lookup 77",
];

const NAT: &str = "table inet nat {
    chain prerouting {
        type nat hook prerouting priority dstnat
        ip daddr 203.0.113.6 meta l4proto { tcp, udp } dnat ip to 10.77.2.1
        ip6 daddr 2001:db8:ffff::6 meta l4proto { tcp, udp } dnat ip6 to fd77:2::1
        tcp dport 2222 redirect to :22
        udp dport 2222 redirect to :53
    }
}";

/// Where to, and by which name.
type Destination = (&'static str, IpAddr);

fn destinations(wire: &Wire) -> Vec<Destination> {
    let fixed = [
        ("own", "10.77.2.1"),
        ("own", "fd77:2::1"),
        ("second", "10.77.2.9"),
        ("second", "fd77:2::9"),
        ("other interface", "10.77.1.1"),
        ("other interface", "fd77:1::1"),
        ("limited broadcast", "255.255.255.255"),
        ("subnet broadcast", "10.77.2.255"),
        ("other subnet's broadcast", "10.77.1.255"),
        ("network", "10.77.2.0"),
        ("subnet router", "fd77:2::"),
        ("other subnet's router", "fd77:1::"),
        ("all hosts", "224.0.0.1"),
        ("all nodes", "ff02::1"),
        ("all routers", "ff02::2"),
        ("local route", "192.0.2.77"),
        ("local route", "2001:db8:1::77"),
        ("local route of a table", "198.51.100.77"),
        ("local route of a table", "2001:db8:2::77"),
        ("translated", "203.0.113.6"),
        ("translated", "2001:db8:ffff::6"),
        ("foreign", "203.0.113.5"),
        ("foreign", "2001:db8:ffff::5"),
        ("mapped", "::ffff:10.77.2.1"),
    ];
    let fixed = fixed.map(|(name, address)| (name, address.parse().unwrap()));
    let joined = [("joined group", GROUP4.into()), ("joined group", GROUP6.into())];
    let link = [("link-local", wire.link_local_of_peer().into())];
    fixed.into_iter().chain(joined).chain(link).collect()
}

/// As a neighbour would send it, and to everybody on the cable, which the kernel marks.
fn frames(wire: &Wire, to: IpAddr) -> Vec<Mac> {
    let group = match to {
        IpAddr::V4(to) if to.is_multicast() => {
            let [_, a, b, c] = to.octets();
            Some([1, 0, 0x5e, a & 0x7f, b, c])
        }
        IpAddr::V6(to) if to.is_multicast() => {
            let [.., a, b, c, d] = to.octets();
            Some([0x33, 0x33, a, b, c, d])
        }
        _ => None,
    };
    [wire.peer, EVERYBODY].into_iter().chain(group).collect()
}

fn stranger(to: IpAddr) -> IpAddr {
    World::STRANGER[usize::from(to.is_ipv6())]
}

/// What a zoo was thrown at, and who let it in.
#[derive(Default)]
struct Zoo {
    /// UDP payloads that a service heard.
    datagrams: BTreeSet<String>,
    /// SYNs that were agreed to: by whom, and what was asked.
    connections: BTreeSet<String>,
    /// What else came back from a port: resets, and word that nothing listens.
    answers: usize,
}

/// Throws everything once, from ports that nobody has used before: `first` and those after it.
fn throw(wire: &Wire, dns: &Dns, first: u16) -> Zoo {
    wire.heard();
    let mut port = first;
    let mut sockets = Vec::new();
    for (name, to) in destinations(wire) {
        for mac in frames(wire, to) {
            for ports in [[SSH, DNS], [DIALLED, DIALLED]] {
                port += 1;
                let from = SocketAddr::new(stranger(to), port);
                let says = format!("{name} {to} {:02x} udp/{}", mac[0], ports[1]);
                wire.send_to(mac, &udp(from, (to, ports[1]).into(), says.as_bytes()));
                let syn = Segment { flags: SYN, sequence: 1000, ..Segment::default() };
                wire.send_to(mac, &tcp(from, (to, ports[0]).into(), &syn));
                sockets.push((from, says));
            }
        }
    }
    settle();
    let mut datagrams = dns.heard();
    // The same sockets, to the address of the service: an answer to the first would have let them in.
    for (from, says) in sockets {
        let own = World::GATEWAY_TO_STRANGER[usize::from(from.is_ipv6())];
        for port in [DNS, DIALLED] {
            let says = format!("{says}, then udp/{port}");
            wire.send(&udp(from, (own, port).into(), says.as_bytes()));
        }
    }
    settle();
    datagrams.extend(dns.heard());
    let heard = wire.heard();
    let agreed = heard.iter().filter(|packet| packet.is_syn_ack());
    let connections = agreed.map(|packet| format!("{} to {}", packet.from, packet.to)).collect();
    let answers = heard.iter().filter(|packet| packet.is_refusal()).count();
    Zoo { datagrams, connections, answers }
}

fn prepare(world: &World) {
    world.gateway.set("ipv6/conf/all/forwarding", "1");
    world.gateway.set("ipv4/ip_forward", "1");
    // SYN-ACKs are not repeated: each that is heard answers a SYN of its own time.
    world.gateway.set("ipv4/tcp_synack_retries", "0");
    for words in ADDRESSES {
        world.gateway.run("ip", &words.split(' ').collect::<Vec<_>>());
    }
    world.gateway.nft(NAT);
}

/// Without the daemon the zoo gets in: it is worth something.
fn must_get_in(zoo: &Zoo) {
    let named = |name: &str, port: u16| {
        let port = format!("udp/{port}");
        zoo.datagrams.iter().any(|says| says.starts_with(name) && says.ends_with(&port))
    };
    for name in ["own 10", "own fd", "second 10", "second fd", "other interface 10"] {
        assert!(named(name, DNS) && named(name, DIALLED), "{name}: {:?}", zoo.datagrams);
    }
    let heard = [
        "other interface fd",
        "limited broadcast",
        "subnet broadcast",
        "other subnet's broadcast",
        "subnet router",
        "other subnet's router",
        "joined group 239",
        "joined group ff05",
        "all nodes",
        "all routers",
        "local route 192",
        "local route 2001",
        "local route of a table 198",
        "local route of a table 2001",
        "link-local",
        "translated 203",
        "translated 2001",
    ];
    for name in heard {
        assert!(named(name, DNS), "{name}: {:#?}", zoo.datagrams);
    }
    for name in ["foreign 203", "foreign 2001"] {
        assert!(named(name, DIALLED), "{name}: {:#?}", zoo.datagrams);
    }
    assert!(zoo.connections.len() > 20, "{:#?}", zoo.connections);
}

#[test]
fn no_address_exposes_a_protected_service_to_senders_without_a_grant() {
    let (world, authority) = (World::new(), Authority::new());
    prepare(&world);
    let (ssh, dns) = (listener(&world.gateway, SSH), Dns::new(&world.gateway, "st"));
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    must_get_in(&throw(&wire, &dns, 20_000));

    let ports = "tcp/22, udp/53, tcp/2222, udp/2222";
    let protected = Config::new(&authority).set("protectedPorts", ports);
    let everything = protected.clone().without("protectedPorts").set("alwaysOpenPorts", "");
    let mut first = 20_000;
    for (policy, config, intake) in [
        ("drop", &protected, "socket"),
        ("reject", &protected, "nflog"),
        ("drop", &everything, "nflog"),
        ("reject", &everything, "socket"),
    ] {
        let config = config.clone().set("firewallPolicy", policy).set("intake", intake);
        let daemon = Daemon::start_settled(&world.gateway, &config);
        first += 1_000;
        let Zoo { datagrams, connections, answers } = throw(&wire, &dns, first);
        let what = format!("{policy}, {intake}: {}", config.text());
        assert!(datagrams.is_empty(), "{what}: {datagrams:#?}");
        assert!(connections.is_empty(), "{what}: {connections:#?}");
        assert!(accepted(&ssh).is_empty(), "{what}");
        let refused = policy == "reject";
        assert_eq!(answers > 0, refused, "{what}: {answers} answers");
        drop(daemon);
    }
}
