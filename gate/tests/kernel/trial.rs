//! Rules on trial: the kernel goes back by itself.

use std::time::Duration;

use sknock_gate::{
    BootInstant, Ceiling, Chain, Firewall, FirewallPolicy, Gate, KnockCapture, Outcome, Rollback,
    TableContent, TableSpec, Transport,
};

use crate::netns::{Net, until};
use crate::reach::Found::{Closed, Open};
use crate::reach::{Site, each, listen, udp as reach_udp};
use crate::setup::{ceiling, elements, grant_request, open, raised, range, rules, tcp, udp};
use crate::table::has_lines;

/// Short, and long enough to look at something first on a busy machine.
const SHORT: Duration = Duration::from_secs(3);
/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

fn hidden(ports: &[u16]) -> TableSpec {
    let protected = ports.iter().map(|&port| tcp(port)).collect();
    TableSpec { protected, ..rules(FirewallPolicy::Reject) }
}

fn try_out(gate: &mut Gate, rules: TableSpec, span: Duration) {
    let now = BootInstant::now();
    let outcome = gate.apply_on_trial(rules, ceiling(), now.after(span), now);
    assert!(matches!(outcome, Outcome::Activated { .. }), "{outcome}");
}

fn unraised(net: &Net) -> Gate {
    Gate::new(rules(FirewallPolicy::None), ceiling(), net.inside(|| Firewall::open().unwrap()))
}

/// What the kernel says is left of a trial.
fn left(net: &Net) -> Option<Duration> {
    net.inside(|| Firewall::open().unwrap().trial().unwrap())
}

/// The table as nft lists it, without what is in its sets.
fn listed(net: &Net) -> String {
    net.run("nft", &["-t", "list", "table", "inet", "sknock"])
}

#[test]
fn a_first_trial_rolls_back_to_no_rules() {
    let net = Net::new();
    let rollback = Rollback { previous: None, remaining: LONG };
    let firewall = || {
        Firewall::open().unwrap().install_on_trial(
            &hidden(&[22]),
            rollback,
            TableContent::default(),
        )
    };
    net.inside(firewall).unwrap();
    assert_eq!(listed(&net), include_str!("golden/trial_first.nft"));
    let table = net.table();
    for family in ["ipv4", "ipv6"] {
        assert!(table.contains(&format!("{family} timeout 10m expires ")), "{table}");
    }
}

#[test]
fn a_later_trial_rolls_back_to_the_previous_rules() {
    let net = Net::new();
    let before = hidden(&[22, 80]);
    let new =
        TableSpec { capture: KnockCapture::Log { group: 5344 }, ..rules(FirewallPolicy::Drop) };
    let new = TableSpec { tagged_length: Some(1208), ..new };
    let rollback = Rollback { previous: Some(&before), remaining: LONG };
    net.inside(|| {
        Firewall::open().unwrap().install_on_trial(&new, rollback, TableContent::default())
    })
    .unwrap();
    assert_eq!(listed(&net), include_str!("golden/trial_later.nft"));
    for Chain { name, lines, .. } in new.chains_on_trial(Some(&before)) {
        has_lines(&listed(&net), &name.to_string(), &lines);
    }
}

#[test]
fn unconfirmed_the_kernel_opens_the_ports_again_by_itself() {
    let site = Site::new();
    let _ssh = listen(&site.host, 22);
    let mut gate = unraised(&site.host);
    try_out(&mut gate, rules(FirewallPolicy::Reject), SHORT);
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22)], 600));
    assert_eq!(site.tcp(22), each(Open, Closed));
    drop(gate);
    until("the trial is over", || left(&site.host) == Some(Duration::ZERO));
    assert_eq!(site.tcp(22), each(Open, Open));
    assert_eq!(elements(&site.host).len(), 2);
}

#[test]
fn unconfirmed_the_kernel_returns_to_the_previous_rules_by_itself() {
    let site = Site::new();
    let _services = [22, 80, 443].map(|port| listen(&site.host, port));
    let seen = || [22, 80, 443].map(|port| site.tcp(port));
    let mut gate = raised(&site.host, hidden(&[22, 443]), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(443)], 600));
    assert_eq!(seen(), [each(Closed, Closed), each(Open, Open), each(Open, Closed)]);
    try_out(&mut gate, hidden(&[80, 443]), SHORT);
    assert_eq!(seen(), [each(Open, Open), each(Closed, Closed), each(Open, Closed)]);
    drop(gate);
    until("the trial is over", || left(&site.host) == Some(Duration::ZERO));
    assert_eq!(seen(), [each(Closed, Closed), each(Open, Open), each(Open, Closed)]);
}

#[test]
fn knocks_reach_a_socket_by_the_rules_on_trial_only() {
    let site = Site::new();
    let [old, new] = [5000, 5001].map(|port| crate::reach::receive(&site.host, port));
    let knock = [0; 1200];
    let found = |service| reach_udp(&site.client, Site::HOST[0], service, &knock);
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    assert_eq!([found(&old), found(&new)], [Open, Closed]);
    let moved = TableSpec { knock_ports: vec![udp(5001)], ..rules(FirewallPolicy::Reject) };
    try_out(&mut gate, moved, SHORT);
    assert_eq!([found(&old), found(&new)], [Closed, Open]);
    until("the trial is over", || left(&site.host) == Some(Duration::ZERO));
    assert_eq!([found(&old), found(&new)], [Closed, Closed]);
    let outcome = gate.roll_back(BootInstant::now());
    assert_eq!(outcome, Outcome::Activated { open: 0, dropped: 0 });
    assert_eq!([found(&old), found(&new)], [Open, Closed]);
}

#[test]
fn a_confirmed_trial_leaves_no_expiry_in_the_table() {
    let (net, plain) = (Net::new(), Net::new());
    let mut gate = unraised(&net);
    try_out(&mut gate, rules(FirewallPolicy::Drop), LONG);
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
    assert!(gate.trial().unwrap().is_first() && left(&net).unwrap() > Duration::ZERO);
    assert_eq!(gate.confirm(BootInstant::now()), Outcome::Activated { open: 1, dropped: 0 });
    assert!(gate.trial().is_none() && left(&net).is_none());
    let _other = raised(&plain, rules(FirewallPolicy::Drop), ceiling());
    assert_eq!(listed(&net), listed(&plain));
    assert_eq!(elements(&net).len(), 1);
}

#[test]
fn a_rolled_back_trial_restores_the_table_and_the_request_limits() {
    let net = Net::new();
    let narrow = Ceiling { services: vec![tcp(22)], ..ceiling() };
    let mut gate = raised(&net, hidden(&[22]), narrow);
    let before = listed(&net);
    try_out(&mut gate, hidden(&[22, 80]), LONG);
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22), tcp(80)], 600));
    assert_ne!(listed(&net), before);
    assert_eq!(gate.roll_back(BootInstant::now()), Outcome::Activated { open: 1, dropped: 1 });
    assert_eq!(listed(&net), before);
    assert!(gate.trial().is_none());
}

#[test]
fn neither_a_flush_nor_a_reload_gives_a_trial_more_time() {
    let net = Net::new();
    let mut gate = raised(&net, hidden(&[22]), ceiling());
    let begun = BootInstant::now();
    let outcome = gate.apply_on_trial(hidden(&[80]), ceiling(), begun.after(LONG), begun);
    assert!(matches!(outcome, Outcome::Activated { .. }), "{outcome}");
    let later = begun.after(Duration::from_secs(500));
    let less = Duration::from_secs(100);
    net.nft("flush ruleset");
    assert!(matches!(gate.reinstall(later), Outcome::Activated { .. }));
    assert!(left(&net).unwrap() <= less && left(&net).unwrap() > Duration::ZERO);
    let range = TableSpec { protected: vec![range(Transport::Tcp, 80, 90)], ..hidden(&[]) };
    assert!(matches!(gate.reconfigure(range, ceiling(), later), Outcome::Activated { .. }));
    assert!(left(&net).unwrap() <= less && left(&net).unwrap() > Duration::ZERO);
    let table = listed(&net);
    for line in ["tcp dport 80-90 goto trial_any_grant", "tcp dport 22 goto any_grant"] {
        assert!(table.contains(line), "{table}");
    }
    // Late, but before the gate has noticed that the time is over.
    net.nft("flush ruleset");
    assert!(matches!(gate.reinstall(begun.after(LONG)), Outcome::Activated { .. }));
    assert_eq!(left(&net), Some(Duration::ZERO));
}

#[test]
fn a_trial_within_a_trial_rolls_back_to_the_rules_before_both() {
    let net = Net::new();
    let mut gate = raised(&net, hidden(&[22]), ceiling());
    let before = listed(&net);
    try_out(&mut gate, hidden(&[80]), LONG);
    try_out(&mut gate, hidden(&[443]), LONG);
    assert!(!gate.trial().unwrap().is_first());
    let _ = gate.roll_back(BootInstant::now());
    assert_eq!(listed(&net), before);
}

#[test]
fn rules_that_the_gate_refuses_do_not_come_on_trial() {
    let net = Net::new();
    let mut gate = raised(&net, hidden(&[22]), ceiling());
    let before = listed(&net);
    let nonsense = TableSpec { protected: vec![tcp(22)], ..rules(FirewallPolicy::None) };
    let now = BootInstant::now();
    let outcome = gate.apply_on_trial(nonsense, ceiling(), now.after(LONG), now);
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome}");
    assert!(gate.trial().is_none());
    assert!(matches!(gate.reinstall(now), Outcome::Activated { .. }));
    assert_eq!(listed(&net), before);
}

#[test]
fn without_a_trial_the_kernel_has_none() {
    let net = Net::new();
    assert_eq!(left(&net), None);
    let _gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    assert_eq!(left(&net), None);
}
