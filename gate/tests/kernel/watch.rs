//! Somebody else changes the firewall.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sknock_gate::{BootInstant, FirewallPolicy, Gate, Outcome, Request, Watch};

use crate::netns::Net;
use crate::setup::{ask, ceiling, cert, elements, grant_request, once, open, raised, rules, tcp};

const ALICE: &str = "192.0.2.7";

fn guarded(net: &Net) -> (Gate, Watch) {
    let mut gate = raised(net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE, "2001:db8::7"], &[tcp(22)], 600));
    let watch = net.inside(|| gate.watch().unwrap());
    (gate, watch)
}

/// Waits as the gate's loop does.
fn lost(watch: &mut Watch) -> bool {
    let mut ready = [PollFd::new(watch.fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, PollTimeout::from(5000_u16)), Ok(1), "an event");
    watch.read().structure_changed
}

fn without_times(table: &str) -> String {
    let word = |word: &&str| !word.ends_with("ms") && !word.starts_with("9m") && *word != "10m";
    table.split_whitespace().filter(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn after_a_flush_table_and_grants_are_back() {
    let net = Net::new();
    let (mut gate, mut watch) = guarded(&net);
    let before = net.table();
    net.nft("flush ruleset");
    assert_eq!(net.nft("list ruleset"), "");
    assert!(lost(&mut watch));
    assert_eq!(gate.reinstall(BootInstant::now()), Outcome::Activated { open: 2, dropped: 0 });
    assert_eq!(without_times(&net.table()), without_times(&before));
    assert!(!watch.read().structure_changed, "our own doing");
    // It is the same gate with the same grants.
    assert_eq!(
        ask(&mut gate, &Request::close(cert(1))),
        sknock_gate::Response::Closed { count: 2 }
    );
    assert!(elements(&net).is_empty());
}

#[test]
fn every_change_to_the_table_is_seen_and_undone() {
    let net = Net::new();
    let (mut gate, mut watch) = guarded(&net);
    let before = without_times(&net.table());
    for change in [
        "delete table inet sknock",
        "flush chain inet sknock input",
        "insert rule inet sknock input accept",
        "add chain inet sknock other",
        "add set inet sknock other { type ipv4_addr; }",
        "add table inet sknock { flags dormant; }",
    ] {
        net.nft(change);
        assert!(lost(&mut watch), "{change}");
        assert_eq!(gate.reinstall(BootInstant::now()), Outcome::Activated { open: 2, dropped: 0 });
        assert_eq!(without_times(&net.table()), before, "{change}");
    }
}

#[test]
fn other_tables_and_single_grants_are_not_ours_to_undo() {
    let net = Net::new();
    let (mut gate, mut watch) = guarded(&net);
    open(&mut gate, grant_request(&[ALICE], &[tcp(80)], 600));
    net.nft("table ip sknock { chain deny { drop; } }");
    net.nft("table inet sknocks { chain deny { drop; } }");
    assert!(!lost(&mut watch));
    // Somebody closes a grant by hand.
    net.nft(&format!("delete element inet sknock grant4 {{ {ALICE} . tcp . 80 }}"));
    assert!(!lost(&mut watch));
}

#[test]
fn an_overrun_of_the_event_socket_is_reported_once() {
    let net = Net::new();
    let (_gate, mut watch) = guarded(&net);
    let many: Vec<String> = (0..2_000).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    net.nft("table inet other { set s { type ipv4_addr; } }");
    let folder = tempfile::tempdir().unwrap();
    let commands = folder.path().join("many.nft");
    let add = format!("add element inet other s {{ {} }}\n", many.join(", "));
    std::fs::write(&commands, format!("{add}flush set inet other s\n")).unwrap();
    let mut overrun = false;
    for _ in 0..500 {
        net.run("nft", &["-f", commands.to_str().unwrap()]);
        overrun = watch_overran(&watch);
        if overrun {
            break;
        }
    }
    assert!(overrun, "the kernel kept everything");
    assert!(watch.read().overrun);
    assert!(!watch.read().overrun);
}

#[test]
fn our_own_changes_do_not_wake_the_watch() {
    let net = Net::new();
    let (mut gate, watch) = guarded(&net);
    open(&mut gate, grant_request(&["192.0.2.8"], &[tcp(22)], 600));
    open(&mut gate, grant_request(&["192.0.2.8"], &[tcp(22)], 900));
    assert_eq!(ask(&mut gate, &Request::Activate), sknock_gate::Response::Activated);
    assert!(!heard(&watch));
    net.nft("add table inet other");
    assert!(heard(&watch));
}

/// Whether there is anything to read.
fn heard(watch: &Watch) -> bool {
    let mut ready = [PollFd::new(watch.fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO).unwrap() > 0
}

/// Whether the kernel has thrown away events of this socket.
fn watch_overran(watch: &Watch) -> bool {
    let mut ready = [PollFd::new(watch.fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO).unwrap();
    ready[0].revents().unwrap().contains(PollFlags::POLLERR)
}

#[test]
fn single_use_does_not_come_back_when_it_may_have_been_used() {
    let net = Net::new();
    let (mut gate, mut watch) = guarded(&net);
    open(&mut gate, once(grant_request(&[ALICE], &[tcp(80)], 600)));
    // The kernel still has it: it stays.
    net.nft("add chain inet sknock other");
    assert!(lost(&mut watch));
    assert_eq!(gate.reinstall(BootInstant::now()), Outcome::Activated { open: 3, dropped: 0 });
    net.nft("flush ruleset");
    assert!(lost(&mut watch));
    assert_eq!(gate.reinstall(BootInstant::now()), Outcome::Activated { open: 2, dropped: 1 });
    assert!(elements(&net).iter().all(|element| !element.grant_key.single_use));
}

#[test]
fn a_knock_right_after_a_flush_opens_and_protects() {
    let net = Net::new();
    let (mut gate, _watch) = guarded(&net);
    net.nft("flush ruleset");
    open(&mut gate, grant_request(&["192.0.2.8"], &[tcp(22)], 600));
    assert_eq!(elements(&net).len(), 3);
    assert!(net.table().contains("drop"));
}

#[test]
fn a_large_table_of_our_own_is_not_taken_for_somebody_elses_change() {
    let net = Net::new();
    let wide = sknock_gate::Ceiling { live: 70_000, per_second: 100_000, ..ceiling() };
    let large = sknock_gate::TableSpec { capacity: 140_000, ..rules(FirewallPolicy::Drop) };
    let mut gate = raised(&net, large, wide);
    for host in 0..1_000_u32 {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + host).to_string();
        let ports = crate::setup::range(sknock_gate::Transport::Tcp, 1, 60);
        open(&mut gate, grant_request(&[&address], &[ports], 600));
    }
    let mut watch = net.inside(|| gate.watch().unwrap());
    net.nft("flush ruleset");
    assert!(lost(&mut watch));
    assert_eq!(gate.reinstall(BootInstant::now()), Outcome::Activated { open: 60_000, dropped: 0 });
    assert!(!heard(&watch), "our own doing, of which the kernel tells nothing");
    net.nft("flush ruleset");
    assert!(lost(&mut watch));
}
