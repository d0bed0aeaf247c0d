//! Real packets through the table, in both families.

use std::io::{Read, Write};
use std::time::Duration;

use sknock_gate::{FirewallPolicy, TableSpec};

use crate::netns::until;
use crate::reach::Found::{Closed, Open, Silent};
use crate::reach::{Site, connect, each, listen, ping, receive, udp};
use crate::setup::{
    ceiling, elements, grant_request, once, open, raised, rules, tcp, udp as udp_port,
};

#[test]
fn rejected_looks_closed_and_a_grant_opens_it_for_one_address_for_a_while() {
    let site = Site::new();
    let _ssh = listen(&site.host, 22);
    let dns = receive(&site.host, 53);
    assert_eq!(site.tcp(22), each(Open, Open));
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    assert_eq!(site.tcp(22), each(Closed, Closed));
    // Nothing listens on 23: no difference to be seen.
    assert_eq!(site.tcp(23), each(Closed, Closed));
    assert_eq!(site.udp(&dns), each(Closed, Closed));

    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp_port(53)], 3));
    assert_eq!(site.tcp(22), each(Open, Closed));
    assert_eq!(site.udp(&dns), each(Open, Closed));
    until("the kernel closes it", || elements(&site.host).is_empty());
    assert_eq!(site.tcp(22), each(Closed, Closed));
    assert_eq!(site.udp(&dns), each(Closed, Closed));
}

#[test]
fn dropped_is_silent() {
    let site = Site::new();
    let _ssh = listen(&site.host, 22);
    let dns = receive(&site.host, 53);
    let mut gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    assert_eq!(site.tcp(22), each(Silent, Silent));
    assert_eq!(site.udp(&dns), each(Silent, Silent));
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22)], 60));
    assert_eq!(site.tcp(22), each(Open, Silent));
}

#[test]
fn a_grant_of_one_family_or_transport_opens_no_other() {
    let site = Site::new();
    let _tcp = listen(&site.host, 53);
    let dns = receive(&site.host, 53);
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT[..1], &[tcp(53)], 60));
    assert_eq!(site.tcp(53), [[Open, Closed], [Closed, Closed]]);
    assert_eq!(site.udp(&dns), each(Closed, Closed));
}

#[test]
fn an_established_connection_survives_the_end_of_its_grant() {
    let site = Site::new();
    let ssh = listen(&site.host, 22);
    let mut gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22)], 1));
    let mut pairs: Vec<_> = Site::HOST
        .iter()
        .map(|host| (connect(&site.client, host, 22).unwrap(), ssh.accept().unwrap().0))
        .collect();
    until("the kernel closes it", || elements(&site.host).is_empty());
    assert_eq!(site.tcp(22), each(Silent, Silent));
    for (near, far) in &mut pairs {
        far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        near.write_all(b"still here").unwrap();
        let mut text = [0; 10];
        far.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"still here");
    }
}

#[test]
fn single_use_is_one_connection() {
    let site = Site::new();
    let ssh = listen(&site.host, 22);
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    for _ in 0..2 {
        open(&mut gate, once(grant_request(&Site::CLIENT, &[tcp(22)], 600)));
        assert_eq!(elements(&site.host).len(), 2);
        for host in Site::HOST {
            let mut near = connect(&site.client, host, 22).unwrap();
            let mut far = ssh.accept().unwrap().0;
            assert!(connect(&site.client, host, 22).is_err(), "the second one");
            near.write_all(b"first").unwrap();
            let mut text = [0; 5];
            far.read_exact(&mut text).unwrap();
        }
        assert!(elements(&site.host).is_empty());
    }
}

#[test]
fn only_knocks_reach_the_knock_port() {
    let site = Site::new();
    let knocks = receive(&site.host, 5000);
    let other = receive(&site.host, 5001);
    let _gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    for host in Site::HOST {
        assert_eq!(udp(&site.client, host, &knocks, &[7; 1200]), Open);
        assert_eq!(udp(&site.client, host, &knocks, &[7; 1199]), Silent);
        assert_eq!(udp(&site.client, host, &knocks, &[7; 1201]), Silent);
        assert_eq!(udp(&site.client, host, &other, &[7; 1200]), Silent);
    }
}

#[test]
fn protected_ports_are_closed_and_others_left_alone() {
    let site = Site::new();
    let _services = [22, 80, 8001].map(|port| listen(&site.host, port));
    let dns = receive(&site.host, 53);
    let time = receive(&site.host, 123);
    let rules = TableSpec {
        protected: vec![tcp(22), udp_port(53)],
        always_open: vec![tcp(80)],
        ..rules(FirewallPolicy::Reject)
    };
    let mut gate = raised(&site.host, rules, ceiling());
    assert_eq!(site.tcp(22), each(Closed, Closed));
    assert_eq!(site.udp(&dns), each(Closed, Closed));
    assert_eq!([site.tcp(80), site.tcp(8001), site.udp(&time)], [each(Open, Open); 3]);
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22)], 60));
    assert_eq!(site.tcp(22), each(Open, Closed));
}

#[test]
fn always_open_ports_are_open_and_policy_none_closes_nothing() {
    let site = Site::new();
    let _services = [22, 80].map(|port| listen(&site.host, port));
    let closed = TableSpec { always_open: vec![tcp(22)], ..rules(FirewallPolicy::Drop) };
    drop(raised(&site.host, closed, ceiling()));
    assert_eq!([site.tcp(22), site.tcp(80)], [each(Open, Open), each(Silent, Silent)]);
    drop(raised(&site.host, rules(FirewallPolicy::None), ceiling()));
    assert_eq!([site.tcp(22), site.tcp(80)], [each(Open, Open); 2]);
}

#[test]
fn the_host_itself_still_reaches_the_world_and_itself() {
    let site = Site::new();
    let _ours = listen(&site.host, 22);
    let _theirs = listen(&site.client, 80);
    let _gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    for host in ["127.0.0.1", "::1", Site::HOST[0], Site::HOST[1]] {
        assert!(connect(&site.host, host, 22).is_ok(), "{host}");
    }
    for client in Site::CLIENT {
        assert!(connect(&site.host, client, 80).is_ok(), "{client}");
    }
    assert!(ping(&site.host, Site::CLIENT[0]));
    assert!(ping(&site.client, Site::HOST[0]));
}

#[test]
fn connections_that_were_there_before_outlive_the_protections_beginning() {
    let site = Site::new();
    let ssh = listen(&site.host, 22);
    let mut pairs: Vec<_> = Site::HOST
        .iter()
        .map(|host| (connect(&site.client, host, 22).unwrap(), ssh.accept().unwrap().0))
        .collect();
    let _gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    assert_eq!(site.tcp(22), each(Closed, Closed));
    for (near, far) in &mut pairs {
        // The host has not sent anything since, so nothing but our word lets this through.
        far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        near.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        near.write_all(b"a key is pressed").unwrap();
        let mut text = [0; 16];
        far.read_exact(&mut text).unwrap();
        far.write_all(&text).unwrap();
        near.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"a key is pressed");
    }
}
