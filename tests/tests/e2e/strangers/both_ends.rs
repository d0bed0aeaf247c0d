//! The two directions of a flow are admitted apart. What this host has answered, at a port that is open to everybody or
//! to itself, lets nobody send with the host's end of that flow.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};

use nix::net::if_::if_nametoindex;
use sknock_tests::ip_packet::udp;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Config, Daemon, Namespace, Wire, World};

use super::forged_flows::RULES;
use super::stage::{DNS, Dns, anyone, settle};

/// Open to everybody, and between protected ports.
const OPEN: u16 = 7777;
const ABOVE: u16 = 9000;
const THEIRS: u16 = 20_001;

fn config(authority: &Authority, (policy, all): (&str, bool)) -> Config {
    let config = Config::new(authority).set("firewallPolicy", policy);
    if all {
        config.set("alwaysOpenPorts", &format!("udp/{OPEN}")).without("protectedPorts")
    } else {
        config.set("protectedPorts", &format!("tcp/22, udp/{DNS}, udp/{ABOVE}"))
    }
}

fn own_of(wire: &Wire) -> IpAddr {
    wire.link_local_of_peer().into()
}

/// The host has an address of its own on each link. A packet on one of them names that of the other as its source.
#[test]
fn a_flow_answered_on_one_link_admits_no_packet_by_another() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let dns = Dns::new(&world.gateway, "cl");
        let open = Dns::on(&world.gateway, "st", OPEN);
        let here = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let there = Wire::new(&world.client, World::GATEWAY[0]);
        let (near, far) = (own_of(&here), own_of(&there));
        // Who asks for the hardware address of it is told.
        world.stranger.ip(&format!("addr add {far}/64 dev st nodad"));
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let (protected, answering) = (SocketAddr::new(far, DNS), SocketAddr::new(near, OPEN));
        here.send(&udp(protected, answering, b"asks"));
        settle();
        assert!(open.heard().contains("asks"), "{rules:?}");
        settle();
        let answered = |packet: &sknock_tests::ip_packet::Packet| packet.to == protected;
        assert!(here.heard().iter().any(answered), "{rules:?}: no answer has left");
        there.send(&udp(answering, protected, b"comes back"));
        settle();
        assert!(dns.heard().is_empty(), "{rules:?}");
    }
}

/// The host takes the stranger's address, and the stranger the host's.
#[test]
fn an_answered_flow_admits_no_packet_after_addresses_were_swapped() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let dns = Dns::new(&world.gateway, "cl");
        let open = Dns::on(&world.gateway, "st", OPEN);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        for (own, theirs) in World::GATEWAY_TO_STRANGER.into_iter().zip(World::STRANGER) {
            let (asking, answering) = (SocketAddr::new(theirs, DNS), SocketAddr::new(own, OPEN));
            wire.send(&udp(asking, answering, b"asks"));
            settle();
            assert!(open.heard().contains("asks"), "{rules:?}: {own}");
            swap(&world.gateway, own, theirs);
            wire.send(&udp(answering, asking, b"comes back"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}: {own}");
        }
    }
}

fn swap(host: &Namespace, old: IpAddr, new: IpAddr) {
    let length = if old.is_ipv6() { "64" } else { "24" };
    let now = if old.is_ipv6() { " nodad" } else { "" };
    host.ip(&format!("addr del {old}/{length} dev st\naddr add {new}/{length} dev st{now}"));
    // A work queue of the kernel adds the local route of an IPv6 address.
    settle();
}

/// The host has spoken to itself with an address that it gives up (VRRP, DHCP).
#[test]
fn a_local_flow_admits_no_packet_from_an_address_the_host_gave_up() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let dns = Dns::new(&world.gateway, "st");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let owns = World::GATEWAY_TO_STRANGER;
        for (later, own) in ["10.77.2.50", "fd77:2::50"].into_iter().zip(owns) {
            let (later, own) = (later.parse::<IpAddr>().unwrap(), SocketAddr::new(own, DNS));
            let length = if later.is_ipv6() { "64" } else { "24" };
            let now = if later.is_ipv6() { " nodad" } else { "" };
            world.gateway.ip(&format!("addr add {later}/{length} dev st{now}"));
            let program = world.gateway.inside(|| UdpSocket::bind((later, THEIRS))).unwrap();
            // As in `swap`: not at once.
            until("the host reaches itself by its new address", || {
                program.send_to(b"by the host", own).unwrap();
                dns.heard().contains("by the host")
            });
            settle();
            dns.overheard();
            world.gateway.ip(&format!("addr del {later}/{length} dev st"));
            wire.send(&udp(SocketAddr::new(later, THEIRS), own, b"by the stranger"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}: {later}");
        }
    }
}

/// A local user sends from the address of one link to that of another. The service's answer leaves by the wire: there
/// somebody else may have that address.
#[test]
fn a_local_flow_between_links_admits_no_packet_from_the_wire() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let dns = Dns::new(&world.gateway, "st");
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let there = Wire::new(&world.client, World::GATEWAY[0]);
        let (near, far) = (wire.link_local_of_peer(), there.link_local_of_peer());
        world.stranger.ip(&format!("addr add {far}/64 dev st nodad"));
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let index = |name| world.gateway.inside(|| if_nametoindex(name)).unwrap();
        let at = |address, port, name| SocketAddrV6::new(address, port, 0, index(name)).into();
        let from: SocketAddr = at(far, THEIRS, "cl");
        let mallory = world.gateway.inside(|| anyone(from));
        mallory.send_to(b"by mallory", at(near, DNS, "st")).unwrap();
        settle();
        assert!(dns.heard().contains("by mallory"), "{rules:?}: it is no packet of the host");
        settle();
        let from = SocketAddr::new(far.into(), THEIRS);
        wire.send(&udp(from, SocketAddr::new(near.into(), DNS), b"by the stranger"));
        settle();
        assert!(dns.heard().is_empty(), "{rules:?}");
    }
}
