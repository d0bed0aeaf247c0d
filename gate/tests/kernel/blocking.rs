//! Connections end with the grant that let them in, in both directions and for good.

use std::net::UdpSocket;
use std::time::Duration;

use sknock_gate::{
    BootInstant, Ceiling, FirewallPolicy, OnRevoke, Outcome, Request, Response, TableSpec,
};

use crate::netns::{Net, until};
use crate::reach::Found::{Closed, Open, Silent};
use crate::reach::{Site, each, listen};
use crate::session::{Flow, Talk};
use crate::setup::{
    ask, ceiling, cert, elements, grant_request, handle, held_by, once, open, raised, rules, tcp,
    udp,
};

/// Closes all that the holder with this serial number has.
fn close(gate: &mut sknock_gate::Gate, serial: u8) {
    assert!(matches!(ask(gate, &Request::close(cert(serial))), Response::Closed { .. }));
}

#[test]
fn a_closed_grant_ends_tcp_and_udp_in_both_directions_and_for_good() {
    for policy in [FirewallPolicy::Reject, FirewallPolicy::Drop] {
        let site = Site::new();
        let mut gate = raised(&site.host, rules(policy), ceiling());
        open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], 600));
        let talks = Site::HOST.map(|host| Talk::begin(&site.client, &site.host, host, 22));
        let flows = Site::HOST.map(|host| Flow::begin(&site.client, &site.host, host, 53));
        talks.iter().for_each(Talk::must_pass);
        flows.iter().for_each(Flow::must_pass);
        close(&mut gate, 1);
        flows.iter().for_each(Flow::must_be_dead);
        talks.iter().for_each(Talk::must_be_dead);
        let terminated = gate.take_terminated().expect("something was cut").to_string();
        for flow in ["10.1.0.2 to tcp/22", "fd01::2 to udp/53", "connections terminated: 4"] {
            assert!(terminated.contains(flow), "{terminated}");
        }
        assert_eq!(gate.take_terminated(), None);
    }
}

#[test]
fn closing_an_expired_grant_terminates_its_connections() {
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22)], 1));
    let talks = Site::HOST.map(|host| Talk::begin(&site.client, &site.host, host, 22));
    until("the kernel ends the grant", || elements(&site.host).is_empty());
    talks.iter().for_each(Talk::must_pass);
    let later = BootInstant::now().after(std::time::Duration::from_secs(1));
    let outcome = handle(&mut gate, &Request::close(cert(1)).encode().unwrap(), later);
    assert_eq!(outcome.response(), Response::Closed { count: 0 });
    talks.iter().for_each(Talk::must_be_dead);
}

/// A revocation while the port needs no grant: the session continues until it needs one again.
#[test]
fn connections_spared_on_an_unprotected_port_end_once_it_is_protected() {
    let some = |ports| TableSpec { protected: ports, ..rules(FirewallPolicy::Drop) };
    let (hidden, other) = (some(vec![tcp(22), udp(53)]), some(vec![tcp(23)]));
    let site = Site::new();
    let mut gate = raised(&site.host, hidden.clone(), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], 600));
    let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    let flow = Flow::begin(&site.client, &site.host, "10.1.0.1", 53);
    let now = BootInstant::now;
    assert!(matches!(gate.reconfigure(other, ceiling(), now()), Outcome::Activated { .. }));
    close(&mut gate, 1);
    talk.must_pass();
    assert!(matches!(gate.reconfigure(hidden, ceiling(), now()), Outcome::Activated { .. }));
    talk.must_be_dead();
    flow.must_be_dead();
}

/// In a trial whose rollback would leave the port open to all, nothing is ended that would not come back.
#[test]
fn connections_spared_in_a_trial_that_adds_their_port_end_once_confirmed() {
    let some = |ports| TableSpec { protected: ports, ..rules(FirewallPolicy::Drop) };
    let (hidden, other) = (some(vec![tcp(22), udp(53)]), some(vec![tcp(23)]));
    let site = Site::new();
    let mut gate = raised(&site.host, other, ceiling());
    let now = BootInstant::now;
    let until = now().after(Duration::from_secs(600));
    assert!(matches!(
        gate.apply_on_trial(hidden, ceiling(), until, now()),
        Outcome::Activated { .. }
    ));
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], 600));
    let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    let flow = Flow::begin(&site.client, &site.host, "10.1.0.1", 53);
    close(&mut gate, 1);
    talk.must_pass();
    flow.must_pass();
    assert!(matches!(gate.confirm(now()), Outcome::Activated { .. }));
    talk.must_be_dead();
    flow.must_be_dead();
}

/// More than are deleted at once. Those that were left would pass again as soon as anybody has a grant there.
#[test]
fn all_connections_of_a_closed_grant_end_however_many_there_are() {
    const FLOWS: u16 = 12_000;
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[udp(53)], 600));
    let _service = site.host.inside(|| UdpSocket::bind(("10.1.0.1", 53)).unwrap());
    site.client.inside(|| {
        for port in 20_000..20_000 + FLOWS {
            let client = UdpSocket::bind(("10.1.0.2", port)).unwrap();
            client.send_to(b"hi", ("10.1.0.1", 53)).unwrap();
        }
    });
    close(&mut gate, 1);
    let terminated = gate.take_terminated().expect("something was cut");
    assert_eq!(terminated.connections, usize::from(FLOWS), "{terminated}");
}

#[test]
fn a_connection_with_another_grant_is_not_terminated() {
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), tcp(80)], 600));
    open(&mut gate, held_by(2, grant_request(&Site::CLIENT, &[tcp(22)], 60)));
    let [ssh, web] = [22, 80].map(|port| Talk::begin(&site.client, &site.host, "10.1.0.1", port));
    close(&mut gate, 1);
    web.must_be_dead();
    ssh.must_pass();
    close(&mut gate, 2);
    ssh.must_be_dead();
}

#[test]
fn a_single_use_grant_keeps_its_flow_off_the_blocklist() {
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22)], 600));
    let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    open(&mut gate, once(held_by(2, grant_request(&Site::CLIENT, &[tcp(22)], 600))));
    close(&mut gate, 1);
    talk.must_pass();
}

#[test]
fn with_on_revoke_close_connections_continue() {
    let site = Site::new();
    let lenient = TableSpec { on_revoke: OnRevoke::KeepExisting, ..rules(FirewallPolicy::Reject) };
    let mut gate = raised(&site.host, lenient, ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22)], 600));
    let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    close(&mut gate, 1);
    talk.must_pass();
    assert_eq!(site.tcp(22), each(Closed, Closed));
    assert_eq!(gate.take_terminated(), None);
}

#[test]
fn a_new_grant_removes_its_blocklist_entry() {
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    let _ssh = listen(&site.host, 22);
    for serial in [1, 2] {
        open(&mut gate, held_by(serial, grant_request(&Site::CLIENT, &[tcp(22)], 600)));
        assert_eq!(site.tcp(22), each(Open, Silent));
        close(&mut gate, serial);
        assert_eq!(cut(&site.host), 2);
        assert_eq!(site.tcp(22), each(Silent, Silent));
    }
    // In a crowd as well.
    let record = Request::Open(grant_request(&Site::CLIENT, &[tcp(22)], 600)).encode().unwrap();
    let all = gate.handle_batch(&[&record], BootInstant::now());
    assert!(matches!(all[0].response(), Response::Opened { .. }));
    assert_eq!((site.tcp(22), cut(&site.host)), (each(Open, Silent), 0));
}

/// How many ways the kernel has cut.
fn cut(net: &Net) -> usize {
    net.inside(|| sknock_gate::Firewall::open().unwrap().dump_blocked().unwrap().len())
}

#[test]
fn a_blocklist_entry_outlives_flushes_reloads_and_restarts() {
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[udp(53)], 600));
    let flow = Flow::begin(&site.client, &site.host, "10.1.0.1", 53);
    flow.must_pass();
    close(&mut gate, 1);
    flow.must_be_dead();
    let now = BootInstant::now();
    let _ = gate.reconfigure(rules(FirewallPolicy::Drop), ceiling(), now);
    assert_eq!(cut(&site.host), 2);
    flow.must_be_dead();
    drop(gate);
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    flow.must_be_dead();
    site.host.nft("flush ruleset");
    assert!(matches!(gate.reinstall(now), sknock_gate::Outcome::Activated { .. }));
    assert_eq!(cut(&site.host), 2);
    flow.must_be_dead();
}

#[test]
fn a_reload_terminates_what_it_forbids_but_not_what_it_opens_to_all() {
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), tcp(80), tcp(443)], 600));
    let [ssh, web, tls] =
        [22, 80, 443].map(|port| Talk::begin(&site.client, &site.host, "10.1.0.1", port));
    let narrower = Ceiling { services: vec![tcp(22)], ..ceiling() };
    let wider = TableSpec { always_open: vec![tcp(80)], ..rules(FirewallPolicy::Reject) };
    let _ = gate.reconfigure(wider.clone(), narrower.clone(), BootInstant::now());
    tls.must_be_dead();
    ssh.must_pass();
    web.must_pass();
    close(&mut gate, 1);
    ssh.must_be_dead();
    // A cut must not outlive its reason.
    let everything = TableSpec { always_open: vec![tcp(22)], ..wider };
    let _ = gate.reconfigure(everything, narrower, BootInstant::now());
    assert_eq!(
        cut(&site.host),
        4,
        "both families of tcp/443, and of tcp/80, which needs a grant again"
    );
    web.must_be_dead();
}

#[test]
fn beyond_max_grants_the_oldest_blocklist_entries_are_removed() {
    let net = Net::new();
    let few = Ceiling { live: 3, ..ceiling() };
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), few);
    for port in 1..=5 {
        open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(port)], 600));
        close(&mut gate, 1);
    }
    assert_eq!(cut(&net), 3);
    let table = net.table();
    for (port, stays) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
        assert_eq!(table.contains(&format!("192.0.2.7 . tcp . {port}")), stays, "{port}: {table}");
    }
}

#[test]
fn a_redirected_port_is_blocked_as_dialled() {
    let site = Site::new();
    site.host.nft(
        "table inet nat { chain prerouting { type nat hook prerouting priority dstnat;
           tcp dport 2222 redirect to :22; udp dport 5353 redirect to :53; } }",
    );
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(2222), udp(5353)], 600));
    let talks = Site::HOST.map(|to| Talk::through(&site.client, (to, 2222), &site.host, 22));
    let flows = Site::HOST.map(|to| Flow::through(&site.client, (to, 5353), &site.host, 53));
    talks.iter().for_each(Talk::must_pass);
    flows.iter().for_each(Flow::must_pass);
    close(&mut gate, 1);
    flows.iter().for_each(Flow::must_be_dead);
    talks.iter().for_each(Talk::must_be_dead);
}

#[test]
fn a_container_port_is_blocked_as_dialled_also_if_answers_are_masqueraded() {
    let site = Site::new();
    let container = Net::new();
    site.host.cable("container", &["172.17.0.1/24"], &container, &["172.17.0.2/24"]);
    site.host.forward();
    container.route_by("172.17.0.1");
    site.host.nft(
        "table ip nat { chain prerouting { type nat hook prerouting priority dstnat;
           udp dport 53 dnat to 172.17.0.2; tcp dport 22 dnat to 172.17.0.2; }
           chain postrouting { type nat hook postrouting priority srcnat;
           ip saddr 172.17.0.0/24 oifname client masquerade; } }",
    );
    let mut gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], 600));
    let talk = Talk::through(&site.client, ("10.1.0.1", 22), &container, 22);
    let flow = Flow::through(&site.client, ("10.1.0.1", 53), &container, 53);
    flow.must_pass();
    close(&mut gate, 1);
    flow.must_be_dead();
    talk.must_be_dead();
}

#[test]
fn forwarded_connections_to_other_hosts_are_not_terminated() {
    let site = Site::new();
    site.host.forward();
    site.client.route_by(Site::HOST[0]);
    site.stranger.route_by("10.2.0.1");
    let mut gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], 600));
    let talk = Talk::through(&site.client, ("10.2.0.2", 22), &site.stranger, 22);
    let flow = Flow::through(&site.client, ("10.2.0.2", 53), &site.stranger, 53);
    flow.must_pass();
    close(&mut gate, 1);
    assert_eq!(cut(&site.host), 4);
    flow.must_pass();
    talk.must_pass();
}
