//! A stranger forges both sides of a flow: conntrack calls it established, and nobody has been asked for a
//! grant. Each case says how the entry is made, and what then must not arrive.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use sknock_tests::ip_packet::udp;
use sknock_tests::wire::Mac;
use sknock_tests::{Authority, Config, Daemon, Namespace, Wire, World};

use super::stage::{DNS, Dns, anyone, settle};

/// The stranger's port; nobody protects it.
const THEIRS: u16 = 20_001;
/// Open to everybody, where all other ports are closed.
pub(crate) const OPEN: u16 = 7777;
/// Networks of the stranger's cable, and an address that the host does not have yet.
const BROADCAST: &str = "10.77.2.255";
const ANYCAST: &str = "fd77:2::";
const LATER: [&str; 2] = ["10.77.2.50", "fd77:2::50"];

/// Which ports are closed: policy, whether all ports are.
pub(crate) const RULES: [(&str, bool); 3] = [("drop", false), ("reject", false), ("drop", true)];

pub(crate) fn config(authority: &Authority, (policy, all): (&str, bool)) -> Config {
    let config = Config::new(authority).set("firewallPolicy", policy);
    let open = format!("udp/{OPEN}");
    if all { config.set("alwaysOpenPorts", &open).without("protectedPorts") } else { config }
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

/// A router that trusts every source, and tells nobody of a better way.
fn trusting(world: &World) {
    for interface in ["all", "st"] {
        world.gateway.set(&format!("ipv4/conf/{interface}/rp_filter"), "0");
        world.gateway.set(&format!("ipv4/conf/{interface}/send_redirects"), "0");
    }
}

/// What is delivered here and is no address of this host: to itself, and to the stranger by way of a router.
#[test]
fn no_flow_from_a_broadcast_or_anycast_address_admits_a_packet() {
    for rules in RULES {
        let (world, authority) = (World::with_inner(), Authority::new());
        trusting(&world);
        let dns = Dns::new(&world.gateway, "st");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let [four, six] = World::STRANGER.map(|address| SocketAddr::new(address, THEIRS));
        for (own, peer) in [
            ("0.0.0.0", at("0.0.0.0", OPEN)),
            (BROADCAST, at(BROADCAST, OPEN)),
            (ANYCAST, at(ANYCAST, OPEN)),
            (BROADCAST, four),
            (ANYCAST, six),
        ] {
            let own = at(own, DNS);
            wire.send(&udp(own, peer, b"begins"));
            settle();
            wire.send(&udp(peer, own, b"answers"));
            settle();
            let heard = dns.heard();
            assert!(!heard.contains("answers"), "{rules:?}: {own} and {peer}");
        }
    }
}

/// A standby that becomes the router (VRRP), or a host that gets an address (DHCP, SLAAC).
#[test]
fn no_flow_from_before_an_address_is_added_admits_a_packet_to_it() {
    for rules in RULES {
        let (world, authority) = (World::with_inner(), Authority::new());
        trusting(&world);
        let dns = Dns::new(&world.gateway, "st");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for (later, theirs) in LATER.into_iter().zip(World::STRANGER) {
            for (port, order) in [(THEIRS, [0, 1]), (THEIRS + 1, [1, 0])] {
                let (own, peer) = (at(later, DNS), SocketAddr::new(theirs, port));
                let sides = [udp(own, peer, b"begins"), udp(peer, own, b"early")];
                for side in order {
                    wire.send(&sides[side]);
                    settle();
                }
            }
            let length = if later.contains(':') { "64 nodad" } else { "24" };
            world.gateway.ip(&format!("addr add {later}/{length} dev st"));
            for port in [THEIRS, THEIRS + 1] {
                wire.send(&udp(SocketAddr::new(theirs, port), at(later, DNS), b"late"));
                settle();
                assert!(dns.heard().is_empty(), "{rules:?}: {later}, {port}");
            }
        }
    }
}

/// Addresses of a whole network (`ip route add local`), in a routing table of their own.
#[test]
fn no_flow_from_a_network_local_by_another_table_admits_a_packet() {
    for rules in RULES {
        let (world, authority) = (World::with_inner(), Authority::new());
        trusting(&world);
        world.gateway.ip("route add local 10.99.0.0/24 dev lo table 100\n\
            rule add iif st to 10.99.0.0/24 lookup 100");
        let dns = Dns::new(&world.gateway, "st");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for peer in ["10.77.3.77", "10.77.2.77"] {
            let (own, peer) = (at("10.99.0.7", DNS), at(peer, THEIRS));
            wire.send(&udp(own, peer, b"begins"));
            settle();
            wire.send(&udp(peer, own, b"answers"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}: {own} and {peer}");
        }
    }
}

/// The host is a bridge whose frames pass its firewall, as beside containers and virtual machines.
#[test]
fn no_bridged_flow_between_others_admits_its_ends_to_the_host() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let gateway = &world.gateway;
        bridge(gateway);
        let dns = Dns::new(gateway, "br0");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let other = mac(&world.client.run("ip", &["-o", "link", "show", "dev", "cl"]));
        let _daemon = Daemon::start_settled(gateway, &config(&authority, rules));
        for (own, theirs) in World::GATEWAY_TO_STRANGER.into_iter().zip(World::STRANGER) {
            let (own, theirs) = (SocketAddr::new(own, DNS), SocketAddr::new(theirs, THEIRS));
            wire.send_to(other, &udp(theirs, own, b"begins"));
            settle();
            wire.send_to(other, &udp(own, theirs, b"answers"));
            settle();
            wire.send(&udp(theirs, own, b"to the host"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}: {own}");
        }
    }
}

/// Joins the cables of client and stranger. What is bridged passes the firewall.
fn bridge(gateway: &Namespace) {
    gateway.ip("link add br0 type bridge\n\
        addr flush dev st\n\
        addr flush dev cl\n\
        link set st master br0\n\
        link set cl master br0\n\
        link set br0 up");
    for (own, length) in World::GATEWAY_TO_STRANGER.into_iter().zip(["24", "64 nodad"]) {
        gateway.ip(&format!("addr add {own}/{length} dev br0"));
    }
    for family in ["iptables", "ip6tables"] {
        gateway.set(&format!("bridge/bridge-nf-call-{family}"), "1");
    }
}

/// From somewhere to which the host itself has another way. It looks forged, and is another machine's.
#[test]
fn bridged_packets_pass_whatever_their_source_is() {
    for rules in RULES {
        let (world, authority) = (World::with_inner(), Authority::new());
        let gateway = &world.gateway;
        bridge(gateway);
        gateway.ip(&format!("route add default via {} dev in", World::INNER[0]));
        let (client, to) = (&world.client, at("10.77.2.3", OPEN));
        client.ip(&format!("addr add {}/24 dev cl", to.ip()));
        let machine = client.inside(|| UdpSocket::bind(to)).unwrap();
        machine.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let other = mac(&client.run("ip", &["-o", "link", "show", "dev", "cl"]));
        let _daemon = Daemon::start_settled(gateway, &config(&authority, rules));
        // From a protected port, and from one between protected ports.
        for port in [DNS, DNS + 1] {
            wire.send_to(other, &udp(at("198.51.100.7", port), to, b"from afar"));
            let heard = machine.recv(&mut [0; 64]);
            assert_eq!(heard.unwrap(), 9, "{rules:?}: {port}");
        }
    }
}

/// The hardware address in what `ip link` lists.
fn mac(listed: &str) -> Mac {
    let mut words = listed.split_whitespace().skip_while(|word| *word != "link/ether");
    let bytes = words.nth(1).unwrap().split(':').map(|one| u8::from_str_radix(one, 16).unwrap());
    bytes.collect::<Vec<u8>>().try_into().unwrap()
}

/// By an interface of the user's choice, to an address of the host that the packet leaves for.
#[test]
fn a_local_user_cannot_admit_a_sender_by_using_another_interface() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        world.gateway.ip(&format!("route add default via {} dev st", World::STRANGER[1]));
        let dns = Dns::new(&world.gateway, "st");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        // Of the client's cable; the packet leaves by the stranger's.
        let (own, theirs) = (World::GATEWAY[1], SocketAddr::new(World::STRANGER[1], THEIRS));
        world.gateway.inside(|| {
            let mallory = anyone(theirs);
            setsockopt(&mallory, sockopt::BindToDevice, &"st".into()).unwrap();
            let _ = mallory.send_to(b"by mallory", (own, DNS));
        });
        settle();
        let heard = wire.heard();
        let left = heard.iter().any(|packet| packet.payload.ends_with(b"by mallory"));
        assert!(left, "{rules:?}: {heard:?}");
        for own in [own, World::GATEWAY_TO_STRANGER[1]] {
            let own = SocketAddr::new(own, DNS);
            wire.send(&udp(own, theirs, b"answers"));
            settle();
            wire.send(&udp(theirs, own, b"by the stranger"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}: {own}");
        }
    }
}
