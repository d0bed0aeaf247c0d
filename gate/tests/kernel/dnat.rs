//! Ports that somebody redirects: judged as the client dialled them.

use sknock_gate::{FirewallPolicy, TableSpec};

use crate::netns::Net;
use crate::reach::Found::{Closed, Open};
use crate::reach::{Site, each, listen, receive};
use crate::setup::{ceiling, grant_request, open, raised, rules, tcp, udp};

#[test]
fn a_redirected_port_is_closed_and_opened_as_dialled() {
    let site = Site::new();
    let _ssh = listen(&site.host, 22);
    site.host.nft(
        "table inet nat { chain prerouting { type nat hook prerouting priority dstnat;
           tcp dport 2222 redirect to :22; } }",
    );
    let rules = TableSpec { protected: vec![tcp(2222)], ..rules(FirewallPolicy::Reject) };
    assert_eq!(site.tcp(2222), each(Open, Open));
    let mut gate = raised(&site.host, rules, ceiling());
    assert_eq!(site.tcp(2222), each(Closed, Closed));
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(2222)], 60));
    assert_eq!(site.tcp(2222), each(Open, Closed));
}

/// Somebody redirects a port that nobody protects, and thinks of no knocks.
#[test]
fn a_protected_port_is_closed_and_opened_also_where_another_port_leads_to_it() {
    for policy in [FirewallPolicy::Reject, FirewallPolicy::Drop] {
        let site = Site::new();
        let (_ssh, dns) = (listen(&site.host, 22), receive(&site.host, 53));
        let found = || (site.tcp(2222), site.udp_through(5353, &dns));
        site.host.nft(
            "table inet nat { chain prerouting { type nat hook prerouting priority dstnat;
               tcp dport 2222 redirect to :22;
               udp dport 5353 redirect to :53; } }",
        );
        let rules = TableSpec { protected: vec![tcp(22), udp(53)], ..rules(policy) };
        assert_eq!(found(), (each(Open, Open), each(Open, Open)));
        let mut gate = raised(&site.host, rules, ceiling());
        let closed = site.tcp(22)[0][0];
        assert_ne!(closed, Open);
        assert_eq!(found(), (each(closed, closed), each(closed, closed)), "{policy:?}");
        open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], 60));
        assert_eq!(found(), (each(Open, closed), each(Open, closed)), "{policy:?}");
    }
}

/// The same where all traffic is closed but to the ports that are always open.
#[test]
fn a_redirect_from_an_always_open_port_gives_no_access_to_a_closed_one() {
    for policy in [FirewallPolicy::Reject, FirewallPolicy::Drop] {
        let site = Site::new();
        let (_ssh, dns) = (listen(&site.host, 22), receive(&site.host, 53));
        let _open = listen(&site.host, 23);
        let found = || (site.tcp(2222), site.udp_through(5353, &dns));
        site.host.nft(
            "table inet nat { chain prerouting { type nat hook prerouting priority dstnat;
               tcp dport 2222 redirect to :22;
               tcp dport 2323 redirect to :23;
               udp dport 5353 redirect to :53; } }",
        );
        let always_open = vec![tcp(2222), tcp(2323), tcp(23), udp(5353)];
        let mut gate = raised(&site.host, TableSpec { always_open, ..rules(policy) }, ceiling());
        let closed = site.tcp(22)[0][0];
        assert_ne!(closed, Open);
        assert_eq!(found(), (each(closed, closed), each(closed, closed)), "{policy:?}");
        assert_eq!(site.tcp(2323), each(Open, Open), "both ports are always open");
        open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], 60));
        assert_eq!(found(), (each(Open, closed), each(Open, closed)), "{policy:?}");
    }
}

#[test]
fn a_port_published_from_a_container_is_closed_and_opened_as_dialled() {
    let site = Site::new();
    let container = Net::new();
    site.host.cable(
        "container",
        &["172.17.0.1/24", "fd17::1/64"],
        &container,
        &["172.17.0.2/24", "fd17::2/64"],
    );
    site.host.forward();
    container.route_by("172.17.0.1");
    container.route_by("fd17::1");
    let _web = listen(&container, 80);
    site.host.nft(
        "table inet nat { chain prerouting { type nat hook prerouting priority dstnat;
           tcp dport 8080 dnat ip to 172.17.0.2:80;
           tcp dport 8080 dnat ip6 to [fd17::2]:80; } }",
    );
    for policy in [FirewallPolicy::Reject, FirewallPolicy::Drop] {
        assert_eq!(site.tcp(8080), each(Open, Open));
        let mut gate = raised(&site.host, rules(policy), ceiling());
        let (closed_to_all, closed_to_stranger) = (site.tcp(8080), {
            open(&mut gate, grant_request(&Site::CLIENT, &[tcp(8080)], 60));
            site.tcp(8080)
        });
        let closed = closed_to_all[0][0];
        assert_ne!(closed, Open);
        assert_eq!(closed_to_all, each(closed, closed));
        assert_eq!(closed_to_stranger, each(Open, closed));
        gate.remove().unwrap();
    }
}

#[test]
fn forwarded_connections_to_other_hosts_are_not_filtered() {
    let site = Site::new();
    site.host.forward();
    site.client.route_by(Site::HOST[0]);
    site.client.route_by(Site::HOST[1]);
    site.stranger.route_by("10.2.0.1");
    site.stranger.route_by("fd02::1");
    let _web = listen(&site.stranger, 80);
    let _gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    for stranger in ["10.2.0.2", "fd02::2"] {
        assert_eq!(crate::reach::tcp(&site.client, stranger, 80), Open);
    }
}
