//! An administrator closes doors with `nft`, and means it.

use sknock_gate::{
    BootInstant, Changes, Firewall, FirewallPolicy, FlowKey, Gate, GrantKey, GrantLabel, OnRevoke,
    Outcome, TableSpec, Transport, Watch,
};

use crate::netns::Net;
use crate::reach::Found::{Open, Silent};
use crate::reach::{Site, each, listen};
use crate::session::Talk;
use crate::setup::{
    ceiling, cert, elements, grant_request, held_by, once, open, raised, rules, tcp,
};

fn guarded(site: &Site, rules: TableSpec) -> (Gate, Watch) {
    let gate = raised(&site.host, rules, ceiling());
    let watch = site.host.inside(|| gate.watch().unwrap());
    (gate, watch)
}

fn grant_key(address: &str, port: u16) -> GrantKey {
    let address = address.parse().unwrap();
    GrantKey { address, transport: Transport::Tcp, port, single_use: false }
}

fn delete(site: &Site, set: &str, address: &str, port: u16) {
    site.host.nft(&format!("delete element inet sknock {set} {{ {address} . tcp . {port} }}"));
}

/// As the gate's loop does; the events are there as soon as `nft` has ended.
fn take_over(gate: &mut Gate, watch: &mut Watch) -> Outcome {
    let Changes { structure_changed, overrun, deleted, .. } = watch.read();
    assert!(!structure_changed && !overrun, "single doors are not the table");
    gate.handle_external_deletes(&deleted, BootInstant::now())
}

fn flush_and_put_back(site: &Site, gate: &mut Gate, watch: &mut Watch) {
    site.host.nft("flush ruleset");
    assert!(watch.read().structure_changed);
    assert!(matches!(gate.reinstall(BootInstant::now()), Outcome::Activated { .. }));
}

#[test]
fn what_was_closed_stays_closed_and_its_connections_end() {
    let site = Site::new();
    let (mut gate, mut watch) = guarded(&site, rules(FirewallPolicy::Drop));
    open(&mut gate, grant_request(&["10.1.0.2", "fd01::2"], &[tcp(22), tcp(80), tcp(81)], 600));
    let [ssh, web] = [22, 80].map(|port| Talk::begin(&site.client, &site.host, "10.1.0.1", port));
    let v6 = Talk::begin(&site.client, &site.host, "fd01::1", 81);
    delete(&site, "grant4", "10.1.0.2", 22);
    delete(&site, "grant6", "fd01::2", 81);
    assert_eq!(take_over(&mut gate, &mut watch), Outcome::Closed(vec![(cert(1), 2)]));
    ssh.must_be_dead();
    v6.must_be_dead();
    web.must_pass();
    flush_and_put_back(&site, &mut gate, &mut watch);
    assert_eq!(elements(&site.host).len(), 4);
    ssh.must_be_dead();
    web.must_pass();
    drop(ssh);
    let _ssh = listen(&site.host, 22);
    // Nobody has closed the other family's.
    assert_eq!(site.tcp(22), [[Silent, Open], [Silent; 2]]);
    open(&mut gate, grant_request(&["10.1.0.2", "fd01::2"], &[tcp(22)], 600));
    assert_eq!(site.tcp(22), each(Open, Silent));
}

#[test]
fn deleting_a_shared_element_closes_both_grants_and_no_others() {
    let site = Site::new();
    let (mut gate, mut watch) = guarded(&site, rules(FirewallPolicy::Drop));
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(22)], 600));
    open(&mut gate, held_by(2, grant_request(&["10.1.0.2"], &[tcp(22), tcp(80)], 60)));
    open(&mut gate, once(held_by(2, grant_request(&["10.1.0.2"], &[tcp(22)], 60))));
    let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    site.host.nft("delete element inet sknock grant4 { 10.1.0.2 . tcp . 22 }");
    let both = Outcome::Closed(vec![(cert(1), 1), (cert(2), 1)]);
    assert_eq!(take_over(&mut gate, &mut watch), both);
    let left = elements(&site.host).iter().map(|one| one.grant_key.port).collect::<Vec<_>>();
    assert_eq!(left.iter().filter(|port| **port == 80).count(), 1);
    // Who may knock once more on the same way keeps what goes on there.
    talk.must_pass();
}

#[test]
fn flushing_a_set_closes_all_its_grants() {
    let site = Site::new();
    let (mut gate, mut watch) = guarded(&site, rules(FirewallPolicy::Drop));
    open(&mut gate, grant_request(&["10.1.0.2", "fd01::2"], &[tcp(22), tcp(80)], 600));
    site.host.nft("flush set inet sknock grant4");
    assert_eq!(take_over(&mut gate, &mut watch), Outcome::Closed(vec![(cert(1), 2)]));
    flush_and_put_back(&site, &mut gate, &mut watch);
    let mut left: Vec<GrantKey> = elements(&site.host).iter().map(|one| one.grant_key).collect();
    left.sort_unstable();
    assert_eq!(left, [grant_key("fd01::2", 22), grant_key("fd01::2", 80)]);
}

#[test]
fn removing_the_table_closes_no_grant() {
    let site = Site::new();
    let (mut gate, mut watch) = guarded(&site, rules(FirewallPolicy::Drop));
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(22)], 600));
    for removal in ["flush ruleset", "delete table inet sknock", "flush table inet sknock"] {
        site.host.nft(removal);
        assert_eq!(
            watch.read(),
            Changes { structure_changed: true, ..Changes::default() },
            "{removal}"
        );
        assert_eq!(gate.reinstall(BootInstant::now()), Outcome::Activated { open: 1, dropped: 0 });
    }
}

#[test]
fn missing_elements_are_closed_grants_unless_used_or_expired() {
    let site = Site::new();
    let (mut gate, _watch) = guarded(&site, rules(FirewallPolicy::Drop));
    open(&mut gate, grant_request(&["10.1.0.2", "fd01::2"], &[tcp(22), tcp(80)], 600));
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(81)], 1));
    open(&mut gate, once(grant_request(&["10.1.0.2"], &[tcp(82)], 600)));
    assert_eq!(gate.missing(BootInstant::now()), Ok(Vec::new()));
    delete(&site, "grant4", "10.1.0.2", 22);
    // What has been used, or ends by itself, was not closed.
    delete(&site, "grant4", "10.1.0.2", 81);
    delete(&site, "single4", "10.1.0.2", 82);
    assert_eq!(gate.missing(BootInstant::now()), Ok(vec![grant_key("10.1.0.2", 22)]));
    site.host.nft("flush ruleset");
    assert_eq!(gate.missing(BootInstant::now()), Ok(Vec::new()), "that is no door's end");
}

#[test]
fn with_on_revoke_close_sessions_continue_and_the_grant_stays_closed() {
    let site = Site::new();
    let lenient = TableSpec { on_revoke: OnRevoke::KeepExisting, ..rules(FirewallPolicy::Drop) };
    let (mut gate, mut watch) = guarded(&site, lenient);
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(22)], 600));
    let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    delete(&site, "grant4", "10.1.0.2", 22);
    assert_eq!(take_over(&mut gate, &mut watch), Outcome::Closed(vec![(cert(1), 1)]));
    flush_and_put_back(&site, &mut gate, &mut watch);
    assert_eq!(elements(&site.host), []);
    talk.must_pass();
}

#[test]
fn a_grant_renewed_before_the_gate_sees_the_deletion_is_closed_too() {
    let site = Site::new();
    let (mut gate, mut watch) = guarded(&site, rules(FirewallPolicy::Drop));
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(22)], 600));
    delete(&site, "grant4", "10.1.0.2", 22);
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(22)], 600));
    assert_eq!(take_over(&mut gate, &mut watch), Outcome::Closed(vec![(cert(1), 1)]));
    assert_eq!(elements(&site.host), []);
    assert_eq!(gate.live().len(), 0);
}

#[test]
fn deleting_an_element_without_a_grant_closes_nothing() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let mut watch = net.inside(|| gate.watch().unwrap());
    net.nft("add element inet sknock grant4 { 10.1.0.2 . tcp . 22 timeout 60s }");
    net.nft("delete element inet sknock grant4 { 10.1.0.2 . tcp . 22 }");
    assert_eq!(take_over(&mut gate, &mut watch), Outcome::Closed(Vec::new()));
    assert_eq!(gate.take_terminated(), None);
}

#[test]
fn the_selected_grant_closes_and_the_certificates_other_grant_stays() {
    let site = Site::new();
    let (mut gate, _watch) = guarded(&site, rules(FirewallPolicy::Drop));
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(22)], 600));
    let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    let mut other = once(grant_request(&["10.1.0.2"], &[tcp(22)], 600));
    other.label.knock = *b"another1";
    open(&mut gate, other);
    let now = BootInstant::now();
    let of = |knock: [u8; 8]| move |label: &GrantLabel, _: &FlowKey| label.knock == knock;
    let closed = gate.close_matching(of(*b"knock-id"), now).unwrap();
    assert_eq!((closed.len(), closed[0].was_open, closed[0].cut), (1, true, false));
    gate.flush_conntrack();
    talk.must_pass();
    let left = elements(&site.host);
    assert!(left.len() == 1 && left[0].grant_key.single_use, "{left:?}");
    drop(gate);
    let mut gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    assert_eq!(gate.live().len(), 1);
    assert!(gate.close_matching(of(*b"another1"), now).unwrap()[0].cut);
    gate.flush_conntrack();
    assert_eq!(elements(&site.host), []);
    talk.must_be_dead();
    assert_eq!(gate.close_matching(|_, _| true, now), Ok(Vec::new()));
}

#[test]
fn one_grant_is_looked_for_without_a_listing() {
    let net = Net::new();
    let mut firewall = net.inside(|| Firewall::open().unwrap());
    let flow = |address: &str, port| FlowKey {
        address: address.parse().unwrap(),
        transport: Transport::Tcp,
        port,
    };
    assert!(!firewall.is_open(&flow("192.0.2.7", 22)).unwrap(), "no table");
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&["192.0.2.7", "2001:db8::7"], &[tcp(22)], 60));
    for (address, port, expected) in
        [("192.0.2.7", 22, true), ("2001:db8::7", 22, true), ("192.0.2.7", 23, false)]
    {
        assert_eq!(firewall.is_open(&flow(address, port)).unwrap(), expected, "{address} {port}");
    }
}
