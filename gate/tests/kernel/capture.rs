//! Who hears a knock, and how many of one source.

use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{MsgFlags, recv};
use sknock_gate::{FirewallPolicy, KnockCapture, SourceLimit, TableSpec};
use sknock_netfilter::error::NetfilterError;
use sknock_netfilter::nflog::bind_group;

use crate::netns::{Net, until};
use crate::reach::Found::{Closed, Open, Silent};
use crate::reach::{Site, receive, udp};
use crate::setup::{ceiling, raised, range, rules, udp as udp_port};

const GROUP: u16 = 5344;
const KNOCK: [u8; 1200] = [7; 1200];

/// What is heard of a source that knocks too often: the burst, and one more for each second that it
/// takes.
const BURST: std::ops::Range<usize> = 30..90;

fn copying(policy: FirewallPolicy) -> TableSpec {
    TableSpec { capture: KnockCapture::Log { group: GROUP }, ..rules(policy) }
}

fn metered(sources: u32) -> TableSpec {
    let source_limit = Some(SourceLimit { per_second: 1, burst: 30, sources });
    TableSpec { source_limit, ..copying(FirewallPolicy::Drop) }
}

/// The copies that have arrived since the last look, without what stands before the knock.
fn heard(group: &OwnedFd) -> Vec<Vec<u8>> {
    let mut copies = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length) = recv(group.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
        copies.push(buffer[..length].to_vec());
    }
    copies
}

fn count(group: &OwnedFd) -> usize {
    let copies = heard(group);
    assert!(copies.iter().all(|copy| copy.windows(KNOCK.len()).any(|part| part == KNOCK)));
    copies.len()
}

/// As many as a burst has, at least: the first to a neighbour wait until it is known.
fn all(group: &OwnedFd) -> usize {
    let mut copies = 0;
    until("a burst is heard", || {
        copies += count(group);
        copies >= BURST.start
    });
    copies + count(group)
}

/// Sends some knocks from one address of `net`.
fn knock(net: &Net, from: &str, host: &str, times: usize) {
    let from: IpAddr = from.parse().unwrap();
    let socket = net.inside(|| UdpSocket::bind((from, 0)).unwrap());
    for _ in 0..times {
        // Rejected ones come back as errors of the next.
        let _ = socket.send_to(&KNOCK, (host, 5000));
    }
}

#[test]
fn knocks_are_copied_to_the_group_and_then_meet_the_policy() {
    let fates = [
        (FirewallPolicy::Drop, Silent, Silent),
        (FirewallPolicy::Reject, Closed, Closed),
        // The port is for knocks alone: what is as long gets no further.
        (FirewallPolicy::None, Closed, Open),
    ];
    for (policy, knock, fate) in fates {
        let site = Site::new();
        let group = site.host.inside(|| bind_group(GROUP).unwrap());
        let service = receive(&site.host, 5000);
        let _gate = raised(&site.host, copying(policy), ceiling());
        for host in Site::HOST {
            assert_eq!(udp(&site.client, host, &service, &KNOCK), knock);
            assert_eq!(count(&group), 1, "{host}");
            for length in [1, 1199, 1201] {
                assert_eq!(udp(&site.client, host, &service, &KNOCK.repeat(2)[..length]), fate);
                assert_eq!(count(&group), 0, "{host}, {length} bytes");
            }
        }
    }
}

#[test]
fn other_firewalls_need_not_accept_the_knock_port() {
    let site = Site::new();
    site.host.nft(
        "table inet other {
           chain first { type filter hook prerouting priority -299; udp dport 5000 drop; }
           chain input { type filter hook input priority filter; policy drop;
             meta l4proto ipv6-icmp accept; } }",
    );
    let group = site.host.inside(|| bind_group(GROUP).unwrap());
    let _gate = raised(&site.host, copying(FirewallPolicy::None), ceiling());
    for (from, host) in Site::CLIENT.into_iter().zip(Site::HOST) {
        knock(&site.client, from, host, 1);
        assert_eq!(count(&group), 1, "{host}");
    }
}

#[test]
fn only_what_is_for_this_host_is_copied() {
    let site = Site::new();
    site.host.forward();
    site.client.route_by(Site::HOST[0]);
    let group = site.host.inside(|| bind_group(GROUP).unwrap());
    let _gate = raised(&site.host, copying(FirewallPolicy::Drop), ceiling());
    knock(&site.client, Site::CLIENT[0], "10.2.0.2", 1);
    assert_eq!(count(&group), 0);
    knock(&site.client, Site::CLIENT[0], "10.2.0.1", 1);
    assert_eq!(count(&group), 1);
}

#[test]
fn every_port_of_a_range_is_captured_and_no_other() {
    let site = Site::new();
    let group = site.host.inside(|| bind_group(GROUP).unwrap());
    let knock_ports = vec![udp_port(53), range(sknock_gate::Transport::Udp, 10000, 60000)];
    let _gate =
        raised(&site.host, TableSpec { knock_ports, ..copying(FirewallPolicy::Drop) }, ceiling());
    let socket = site.client.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    for (port, copies) in [(53, 1), (54, 0), (9999, 0), (10000, 1), (60000, 1), (60001, 0)] {
        socket.send_to(&KNOCK, (Site::HOST[0], port)).unwrap();
        assert_eq!(count(&group), copies, "{port}");
    }
}

#[test]
fn a_source_over_the_rate_limit_is_not_captured_and_others_are() {
    let site = Site::new();
    let group = site.host.inside(|| bind_group(GROUP).unwrap());
    let _gate = raised(&site.host, metered(64), ceiling());
    for (from, host) in Site::CLIENT.into_iter().zip(Site::HOST) {
        knock(&site.client, from, host, 200);
        assert!(BURST.contains(&all(&group)), "{host}");
    }
    knock(&site.stranger, "10.2.0.2", "10.2.0.1", 2);
    knock(&site.stranger, "fd02::2", "fd02::1", 2);
    assert_eq!(count(&group), 4);
}

#[test]
fn a_source_in_ipv6_is_a_network_of_64_bits() {
    let site = Site::new();
    let group = site.host.inside(|| bind_group(GROUP).unwrap());
    let _gate = raised(&site.host, metered(64), ceiling());
    let addresses: Vec<String> = (0x10..0x18).map(|host| format!("fd01::{host:x}")).collect();
    for address in &addresses {
        let added = format!("{address}/64");
        site.client.run("ip", &["addr", "add", &added, "dev", "client", "nodad"]);
    }
    // All at once: the meter gives a new one every second.
    for address in &addresses {
        knock(&site.client, address, Site::HOST[1], 20);
    }
    assert!(BURST.contains(&all(&group)));
}

/// The meter must not become the attack: who forges many addresses cannot crowd anyone out.
#[test]
fn when_too_many_sources_knock_the_others_go_unmetered() {
    let site = Site::new();
    let group = site.host.inside(|| bind_group(GROUP).unwrap());
    let _gate = raised(&site.host, metered(4), ceiling());
    for forged in 0x10..0x18 {
        let address = format!("10.1.0.{forged}");
        site.client.run("ip", &["addr", "add", &format!("{address}/24"), "dev", "client"]);
        knock(&site.client, &address, Site::HOST[0], 1);
    }
    assert_eq!(count(&group), 8);
    let table = site.host.table();
    assert_eq!(
        table.matches("limit rate over 1/second burst 30 packets expires").count(),
        4,
        "{table}"
    );
    knock(&site.client, Site::CLIENT[0], Site::HOST[0], 200);
    assert_eq!(count(&group), 200, "an honest source that came late");
    knock(&site.client, "10.1.0.16", Site::HOST[0], 200);
    assert!(count(&group) < BURST.end, "one of those that are remembered");
}

#[test]
fn a_socket_is_metered_as_well() {
    let site = Site::new();
    let socket = receive(&site.host, 5000);
    let rules = TableSpec { capture: KnockCapture::Socket, ..metered(64) };
    for rules in [rules.clone(), TableSpec { policy: FirewallPolicy::None, ..rules }] {
        let _gate = raised(&site.host, rules, ceiling());
        knock(&site.client, Site::CLIENT[0], Site::HOST[0], 200);
        let mut heard = 0;
        while recv(socket.as_raw_fd(), &mut [0; 2048], MsgFlags::MSG_DONTWAIT).is_ok() {
            heard += 1;
        }
        assert!(BURST.contains(&heard), "{heard}");
    }
}

#[test]
fn policy_none_closes_the_knock_port_to_all_but_knocks() {
    let site = Site::new();
    let socket = receive(&site.host, 5000);
    let _gate = raised(&site.host, rules(FirewallPolicy::None), ceiling());
    for host in Site::HOST {
        assert_eq!(udp(&site.client, host, &socket, &KNOCK[1..]), Closed);
        assert_eq!(udp(&site.client, host, &socket, &KNOCK), Open);
    }
}

#[test]
fn a_group_has_one_listener_and_is_free_when_that_is_gone() {
    let net = Net::new();
    let first = net.inside(|| bind_group(GROUP).unwrap());
    let second = net.inside(|| bind_group(GROUP)).unwrap_err();
    assert!(matches!(second, NetfilterError::GroupTaken { group: GROUP, .. }), "{second}");
    assert!(second.to_string().contains("NFLOG group 5344 (netlink port "), "{second}");
    net.inside(|| bind_group(GROUP + 1)).unwrap();
    let copy = first.as_fd().try_clone_to_owned().unwrap();
    drop(first);
    assert!(net.inside(|| bind_group(GROUP)).is_err(), "a copy of the descriptor is left");
    drop(copy);
    net.inside(|| bind_group(GROUP)).unwrap();
}
