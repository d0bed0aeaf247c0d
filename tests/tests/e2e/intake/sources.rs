//! Knocks whose packets come from addresses that are special: v4-mapped ones in IPv6, and this host's own.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use sknock_protocol::v1::{self, V1KnockRequest};
use sknock_protocol::v2::ClaimedAddress;
use sknock_tests::packet::{Packet, Wire};
use sknock_tests::wait::now;
use sknock_tests::{Authority, Client, Daemon, World};

use super::config;

const PORT: u16 = 62344;

fn started<'w>(world: &'w World, authority: &Authority, intake: &str) -> Daemon<'w> {
    Daemon::start_settled(&world.gateway, &config(authority, intake, ("reject", false)))
}

fn mapped(address: IpAddr) -> IpAddr {
    let IpAddr::V4(v4) = address else { panic!("an IPv4 address") };
    v4.to_ipv6_mapped().into()
}

/// What comes after is judged later: the knock before it was not judged at all.
#[track_caller]
fn is_no_knock(
    world: &World,
    authority: &Authority,
    daemon: &Daemon<'_>,
    bytes: &[u8],
    from: IpAddr,
) {
    let mark = daemon.mark();
    let wire = Wire::new(&world.client);
    let to = World::GATEWAY[1];
    wire.send(&Packet::udp(bytes.to_vec()).between((from, 40_000), (to, PORT)), to);
    let alice = Client::alice(&world.client, authority);
    let sent = alice.seal(&["tcp/22"]).send(&world.client, to);
    sent.must_be_granted();
    daemon.wait_since(mark, &sent.source().to_string());
    let said = daemon.said_since(mark);
    let told = said.iter().find(|line| line.contains(":40000"));
    assert_eq!(told, None, "from {from}");
}

#[test]
fn an_ipv6_packet_from_a_mapped_address_is_no_knock() {
    for intake in ["nflog", "socket"] {
        let (world, authority) = (World::new(), Authority::new());
        world.gateway.set("ipv4/conf/all/rp_filter", "1");
        let daemon = started(&world, &authority, intake);
        let alice = Client::alice(&world.client, &authority);
        // A host of this network, one without a route to it, and the gateway itself.
        let elsewhere = Ipv4Addr::new(198, 51, 100, 7).into();
        for address in [World::CLIENT[0], elsewhere, Ipv4Addr::LOCALHOST.into()] {
            let knock = alice.seal(&["tcp/22"]);
            is_no_knock(&world, &authority, &daemon, &knock.bytes, mapped(address));
            let signed = alice.seal_with(&["tcp/22"], |wish| {
                wish.address = ClaimedAddress::Ip(address);
            });
            is_no_knock(&world, &authority, &daemon, &signed.bytes, mapped(address));
        }
        // By IPv4 it is one, at a socket for both families, too.
        alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    }
}

#[test]
fn a_v1_packet_over_ipv6_from_a_mapped_address_is_no_knock() {
    for intake in ["nflog", "socket"] {
        let (world, authority) = (World::new(), Authority::new());
        let daemon = Daemon::start_settled(
            &world.gateway,
            &config(&authority, intake, ("reject", false)).set("protocols", "v2, v1"),
        );
        let home = World::CLIENT[0];
        let service = "tcp/22".parse().unwrap();
        let wish = V1KnockRequest { stamp: now(), service, address: home };
        let (identity, server) =
            (authority.identity("alice"), authority.server_certificate("gate"));
        let bytes = v1::seal(&identity, &server, &wish).unwrap();
        is_no_knock(&world, &authority, &daemon, &bytes, mapped(home));
    }
}

/// Sources that no client by the wire has: this host's own, loopback, broadcast, anycast, reserved. An answer would go to
/// a service of this host, or to many hosts, and what was granted would be closed for the host itself later.
#[test]
fn a_source_that_no_remote_client_can_have_gets_no_grant_and_no_answer() {
    for (intake, policy) in [("nflog", "reject"), ("socket", "drop"), ("nflog", "none")] {
        let (world, authority) = (World::new(), Authority::new());
        credulous(&world);
        // A router has the anycast address of each network.
        world.gateway.set("ipv6/conf/all/forwarding", "1");
        let rules = (policy, policy == "none");
        let config = config(&authority, intake, rules).set("sourceAddress", "allow");
        let daemon = Daemon::start_settled(&world.gateway, &config);
        let alice = Client::alice(&world.client, &authority);
        let wire = Wire::new(&world.client);
        let services = ["127.0.0.1", "10.77.1.1", "fd77:1::1"].map(|own| {
            let service = world.gateway.inside(|| UdpSocket::bind((own, 40_000))).unwrap();
            service.set_nonblocking(true).unwrap();
            service
        });
        let sources = [
            "10.77.1.1",
            "10.77.2.1",
            "fd77:1::1",
            "fd77:2::1",
            "127.0.0.1",
            "127.0.0.2",
            "::1",
            "10.77.1.255",
            "fd77:1::",
            "0.1.2.3",
            "240.1.2.3",
            "255.255.255.255",
        ];
        let mark = daemon.mark();
        for from in sources.map(|text| text.parse::<IpAddr>().unwrap()) {
            let to = World::GATEWAY[usize::from(from.is_ipv6())];
            let signed = alice.seal_with(&["tcp/22"], |wish| {
                wish.address = ClaimedAddress::Ip(from);
            });
            for knock in [alice.seal(&["tcp/22"]), signed] {
                wire.send(
                    &Packet::udp(knock.bytes.to_vec()).between((from, 40_000), (to, PORT)),
                    to,
                );
            }
        }
        let sent = alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
        sent.must_be_granted();
        daemon.wait_since(mark, &sent.source().to_string());
        let said = daemon.said_since(mark);
        let told = said.iter().find(|line| line.contains(":40000") && line.contains("granted"));
        assert_eq!(told, None, "{intake}, {policy}");
        assert_eq!(world.gateway.doors().len(), 1, "{intake}, {policy}: the client's own");
        for service in services {
            let heard = service.recv(&mut [0; 2048]);
            assert!(heard.is_err(), "{intake}, {policy}: {service:?} hears an answer");
        }
        assert!(world.gateway.tracked_udp(40_000).is_empty(), "{intake}, {policy}");
    }
}

/// It opens nothing: `lo` is never filtered. But nothing is wrong with it either.
#[test]
fn a_host_may_knock_at_itself() {
    for intake in ["nflog", "socket"] {
        let (world, authority) = (World::new(), Authority::new());
        let daemon = started(&world, &authority, intake);
        let alice = Client::alice(&world.gateway, &authority);
        for to in ["127.0.0.1", "::1"].map(|text| text.parse::<IpAddr>().unwrap()) {
            let mark = daemon.mark();
            let sent = alice.seal(&["tcp/22"]).send(&world.gateway, to);
            sent.must_be_granted();
            let verdict = daemon.wait_since(mark, &sent.source().to_string());
            assert!(verdict.contains("granted"), "{intake}: {verdict}");
            let said = daemon.said_since(mark);
            assert!(!said.iter().any(|line| line.contains("WARN")), "{intake}: {said:?}");
        }
        assert!(world.gateway.doors().is_empty(), "no element of the kernel names loopback");
    }
}

/// Takes packets from its own and from loopback addresses by the wire, as the client sends them.
fn credulous(world: &World) {
    for (switch, value) in [("rp_filter", "0"), ("route_localnet", "1"), ("accept_local", "1")] {
        for machine in [&world.gateway, &world.client] {
            machine.set(&format!("ipv4/conf/all/{switch}"), value);
        }
    }
}
