//! A refusal comes from the address that was asked.

use std::net::{IpAddr, SocketAddr};

use sknock_tests::ip_packet::{RST, SYN, Segment, TCP, tcp, udp};
use sknock_tests::{Authority, Config, Daemon, Echo, Found, Wire, World, reach};

use super::stage::{DNS, SSH, settle};

#[test]
fn a_refusal_comes_from_the_destination_address_of_the_packet() {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.run("ip", &["addr", "add", "10.77.2.9/24", "dev", "st"]);
    world.gateway.run("ip", &["addr", "add", "fd77:2::9/64", "dev", "st", "nodad"]);
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    let _daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let [own4, own6] = World::STRANGER;
    let asked = ["10.77.2.1", "10.77.2.9", "10.77.1.1", "fd77:2::1", "fd77:2::9", "fd77:1::1"];
    for (index, to) in asked.into_iter().enumerate() {
        let to: IpAddr = to.parse().unwrap();
        let port = 20_000 + u16::try_from(index).unwrap();
        let from = SocketAddr::new(if to.is_ipv4() { own4 } else { own6 }, port);
        wire.heard();
        wire.send(&udp(from, (to, DNS).into(), b"a question"));
        let syn = Segment { flags: SYN, sequence: 7, ..Segment::default() };
        wire.send(&tcp(from, (to, SSH).into(), &syn));
        settle();
        let heard = wire.heard();
        let refusals: Vec<_> = heard.iter().filter(|packet| packet.is_refusal()).collect();
        assert_eq!(refusals.len(), 2, "{to}: {heard:?}");
        for refusal in refusals {
            assert_eq!(refusal.from.ip(), to, "{refusal:?}");
            if refusal.protocol == TCP {
                let numbers = (refusal.from.port(), refusal.flags & RST, refusal.acknowledged);
                assert_eq!(numbers, (SSH, RST, 8));
            }
        }
    }
}

/// Every host that forwards has the first address of each of its networks. Linux answers no TCP there.
#[test]
fn at_an_anycast_address_a_protected_port_is_as_silent_as_a_closed_one() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    world.gateway.set("ipv6/conf/all/forwarding", "1");
    let config = Config::new(&authority).set("protectedPorts", "tcp/22, tcp/2222");
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    let anycast: IpAddr = "fd77:2::".parse().unwrap();
    for port in [22, 2222, 24] {
        let found = reach::tcp(&world.stranger, (anycast, port).into());
        assert_eq!(found, Found::Silent, "{port}");
    }
    // The same ports where they do answer.
    for port in [22, 2222, 24] {
        let found = reach::tcp(&world.stranger, (World::GATEWAY_TO_STRANGER[1], port).into());
        assert_eq!(found, Found::Refused, "{port}");
    }
}
