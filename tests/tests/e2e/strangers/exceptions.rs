//! What a host must hear where all traffic is denied: its neighbours, its routers, its address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use sknock_tests::ip_packet::{ICMP, ICMPV6, IGMP, carry, sum, udp};
use sknock_tests::wait::{uninterrupted, until};
use sknock_tests::wire::EVERYBODY;
use sknock_tests::{Authority, Config, Daemon, Wire, World};

use super::stage::{Dns, settle};

const MDNS4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn must_hear(socket: &UdpSocket, says: &str) {
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut heard = [0; 64];
    let received = uninterrupted(|| socket.recv(&mut heard));
    let length = received.unwrap_or_else(|error| panic!("{says}: {error}"));
    assert_eq!(&heard[..length], says.as_bytes());
}

fn must_not_hear(socket: &UdpSocket, what: &str) {
    socket.set_nonblocking(true).unwrap();
    let mut heard = [0; 64];
    let result = socket.recv(&mut heard);
    assert!(result.is_err(), "{what}: {:?}", String::from_utf8_lossy(&heard));
}

/// With the checksum of IGMP and ICMP, which covers no addresses.
fn summed(mut message: Vec<u8>) -> Vec<u8> {
    let sum = sum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    message
}

/// A general query of MLD, which asks for answers within a tenth of a second: from the link, for the link,
/// and marked for routers (RFC 2710, 3).
fn listener_query() -> Vec<u8> {
    let from: IpAddr = "fe80::2".parse().unwrap();
    let query = [&[130, 0, 0, 0, 0, 100, 0, 0][..], &[0; 16]].concat();
    let whole = carry(from, ALL_NODES.into(), ICMPV6, Some(2), query);
    let marked = [&[ICMPV6, 0, 5, 2, 0, 0, 1, 0], &whole[40..]].concat();
    let mut packet = carry(from, ALL_NODES.into(), 0, None, marked);
    packet[7] = 1;
    packet
}

fn all_denied<R>(test: impl FnOnce(&World, &Wire) -> R) -> R {
    let (world, authority) = (World::new(), Authority::new());
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    let config = Config::new(&authority)
        .set("firewallPolicy", "drop")
        .set("alwaysOpenPorts", "")
        .without("protectedPorts");
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    test(&world, &wire)
}

#[test]
fn in_deny_all_mode_dhcp_and_mdns_queries_pass_and_nothing_like_them() {
    all_denied(|world, wire| {
        let bind =
            |port: u16| world.gateway.inside(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)));
        let four =
            |port: u16| world.gateway.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)));
        let (client4, client6, service6) =
            (four(68).unwrap(), bind(546).unwrap(), bind(547).unwrap());
        let mdns4 = four(5353).unwrap();
        mdns4.join_multicast_v4(&MDNS4, &"10.77.2.1".parse().unwrap()).unwrap();
        let mdns6 = bind(5354).unwrap();
        let index = world.gateway.inside(|| if_nametoindex("st")).unwrap();
        mdns6.join_multicast_v6(&MDNS6, index).unwrap();

        let [own4, own6] = World::STRANGER;
        let [to4, to6] = World::GATEWAY_TO_STRANGER;
        let say = |from: (IpAddr, u16), to: (IpAddr, u16), says: &str| {
            wire.send_to(EVERYBODY, &udp(from.into(), to.into(), says.as_bytes()));
        };
        say((own4, 67), (Ipv4Addr::BROADCAST.into(), 68), "an offer");
        must_hear(&client4, "an offer");
        wire.send(&udp((own4, 67).into(), (to4, 68).into(), b"an acknowledgement"));
        must_hear(&client4, "an acknowledgement");
        wire.send(&udp((own6, 547).into(), (to6, 546).into(), b"a reply"));
        must_hear(&client6, "a reply");
        let all_agents: Ipv6Addr = "ff02::1:2".parse().unwrap();
        service6.join_multicast_v6(&all_agents, index).unwrap();
        say((own6, 546), (all_agents.into(), 547), "a solicitation");
        must_hear(&service6, "a solicitation");
        say((own4, 5353), (MDNS4.into(), 5353), "who is printer.local?");
        must_hear(&mdns4, "who is printer.local?");

        // Not the exceptions: another port in the group, the same port at an address, another source.
        say((own6, 5353), (MDNS6.into(), 5354), "another port");
        wire.send(&udp((own4, 5353).into(), (to4, 5353).into(), b"unicast"));
        say((own4, 5353), (Ipv4Addr::BROADCAST.into(), 5353), "broadcast");
        say((own4, 1067), (Ipv4Addr::BROADCAST.into(), 68), "from a port of anybody's");
        wire.send(&udp((own6, 1547).into(), (to6, 546).into(), b"from a port of anybody's"));
        wire.send(&udp((own6, 546).into(), (to6, 547).into(), b"to a server's address"));
        settle();
        for socket in [&client4, &client6, &service6, &mdns4, &mdns6] {
            must_not_hear(socket, "all is denied");
        }
    });
}

#[test]
fn in_deny_all_mode_neighbours_and_multicast_routers_are_answered() {
    all_denied(|world, wire| {
        // Has joined groups, so there is something to report.
        let _dns = Dns::on(&world.gateway, "st", 5300);
        let [own4, own6] = World::STRANGER;
        let [to4, to6] = World::GATEWAY_TO_STRANGER;
        wire.heard();
        // A general query of IGMPv2, which asks for answers within a tenth of a second.
        let hosts = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1));
        wire.send_to(
            EVERYBODY,
            &carry(own4, hosts, IGMP, None, summed(vec![0x11, 1, 0, 0, 0, 0, 0, 0])),
        );
        wire.wait_for("a report by IGMP", |packet| packet.protocol == IGMP);
        wire.send_to(EVERYBODY, &listener_query());
        wire.wait_for("a report by MLD", |packet| {
            packet.payload.starts_with(&[ICMPV6]) && [131, 143].contains(&packet.payload[8])
        });
        let IpAddr::V6(target) = to6 else { unreachable!("it is IPv6") };
        let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets()].concat();
        wire.send(&carry(own6, to6, ICMPV6, Some(2), solicitation));
        wire.wait_for("an advertisement of the neighbour", |packet| {
            packet.protocol == ICMPV6 && packet.payload.starts_with(&[136])
        });
        wire.send(&carry(own4, to4, ICMP, None, summed(vec![8, 0, 0, 0, 0, 7, 0, 1])));
        wire.wait_for("an echo", |packet| packet.protocol == ICMP && packet.payload[0] == 0);
        let echo = vec![128, 0, 0, 0, 0, 7, 0, 1];
        wire.send_to(EVERYBODY, &carry(own6, to6, ICMPV6, Some(2), echo));
        wire.wait_for("an echo", |packet| packet.protocol == ICMPV6 && packet.payload[0] == 129);
    });
}

/// ICMP of the other family is a protocol that no host speaks.
#[test]
fn in_deny_all_mode_icmp_of_the_other_family_is_not_answered() {
    all_denied(|world, wire| {
        let [own4, own6] = World::STRANGER;
        let [to4, to6] = World::GATEWAY_TO_STRANGER;
        wire.heard();
        wire.send(&carry(own4, to4, ICMPV6, None, vec![128, 0, 0, 0, 0, 7, 0, 1]));
        wire.send(&carry(own6, to6, ICMP, None, summed(vec![8, 0, 0, 0, 0, 7, 0, 1])));
        wire.send(&carry(own4, to4, ICMP, None, summed(vec![8, 0, 0, 0, 0, 7, 0, 1])));
        let mut heard = Vec::new();
        // Answers leave in the order of what they answer.
        until("an echo", || {
            heard.extend(wire.heard());
            heard.iter().any(|packet| packet.protocol == ICMP && packet.payload[0] == 0)
        });
        // What the neighbours say by themselves is no answer.
        heard.retain(|packet| packet.protocol == ICMP || packet.payload[0] < 128);
        assert_eq!(heard.len(), 1, "{}: {heard:?}", world.gateway.table().unwrap_or_default());
    });
}
