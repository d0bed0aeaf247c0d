//! Somebody removes the table, strangers come in, the table is put back.

use sknock_gate::{BootInstant, FirewallPolicy, Gate, Outcome, TableSpec};

use crate::netns::Net;
use crate::reach::Site;
use crate::session::{Flow, Talk};
use crate::setup::{ceiling, grant_request, held_by, once, open, raised, rules, tcp, udp};

fn hidden() -> TableSpec {
    let protected = vec![tcp(22), tcp(23), udp(53), udp(54)];
    TableSpec { protected, ..rules(FirewallPolicy::Reject) }
}

/// Removes the table, has `meanwhile` happen, and puts it back.
fn gap<T>(net: &Net, gate: &mut Gate, meanwhile: impl FnOnce() -> T) -> T {
    net.nft("flush ruleset");
    let outcome = meanwhile();
    let back = gate.reinstall(BootInstant::now());
    assert!(matches!(back, Outcome::Activated { .. }), "{back}");
    outcome
}

/// Somebody else asks for states of connections, as most firewalls do: then the kernel tracks them also
/// while our table is gone.
fn track(net: &Net) {
    net.nft("table inet other { chain input { type filter hook input priority 0; ct state new accept; } }");
}

#[test]
fn only_connections_begun_in_a_gap_that_lack_a_grant_are_terminated() {
    let site = Site::new();
    track(&site.host);
    let old = Site::HOST.map(|host| Talk::begin(&site.client, &site.host, host, 22));
    let mut gate = raised(&site.host, hidden(), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(23), udp(54)], 600));
    let granted = Site::HOST.map(|host| Talk::begin(&site.client, &site.host, host, 23));
    let fed = Site::HOST.map(|host| Flow::begin(&site.client, &site.host, host, 54));
    for round in 0..3 {
        let (talks, flows, open) = gap(&site.host, &mut gate, || {
            // Only the table of ours, or nobody would track.
            track(&site.host);
            let strangers = ["10.2.0.1", "fd02::1"];
            (
                strangers.map(|host| Talk::begin(&site.stranger, &site.host, host, 22)),
                strangers.map(|host| Flow::begin(&site.stranger, &site.host, host, 53)),
                strangers.map(|host| Talk::begin(&site.stranger, &site.host, host, 80)),
            )
        });
        flows.iter().for_each(Flow::must_be_dead);
        talks.iter().for_each(Talk::must_be_dead);
        [&old, &granted, &open].into_iter().flatten().for_each(Talk::must_pass);
        fed.iter().for_each(Flow::must_pass);
        let terminated = gate.take_terminated().expect("it is told");
        assert_eq!(terminated.connections, 4, "{terminated}");
        assert_eq!(terminated.flows.len(), if round == 0 { 4 } else { 0 }, "they stay cut off");
    }
    // And whoever was cut off knocks like anybody else.
    open(&mut gate, held_by(2, grant_request(&["10.2.0.2", "fd02::2"], &[tcp(22)], 600)));
    let talk = Talk::begin(&site.stranger, &site.host, "10.2.0.1", 22);
    talk.must_pass();
}

#[test]
fn tcp_begun_in_a_gap_is_terminated_without_other_users_of_conntrack() {
    let site = Site::new();
    let mut gate = raised(&site.host, hidden(), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(23)], 600));
    let granted = Talk::begin(&site.client, &site.host, "10.1.0.1", 23);
    let (_listens, stranger) = gap(&site.host, &mut gate, || {
        let listener = crate::reach::listen(&site.host, 22);
        let near = crate::reach::connect(&site.stranger, "10.2.0.1", 22).unwrap();
        let far = listener.accept().unwrap().0;
        (listener, Talk::of(near, far))
    });
    stranger.must_be_dead();
    granted.must_pass();
}

#[test]
fn in_deny_all_mode_the_host_keeps_its_own_connections_through_gaps() {
    let site = Site::new();
    track(&site.host);
    let mut gate = raised(&site.host, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, once(grant_request(&Site::CLIENT, &[tcp(22)], 600)));
    let ssh = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    let (out, flow) = gap(&site.host, &mut gate, || {
        track(&site.host);
        let out = Talk::begin(&site.host, &site.client, "10.1.0.2", 80);
        (out, Flow::begin(&site.host, &site.client, "10.1.0.2", 53))
    });
    out.must_pass();
    // Forged packets might have made the same entry.
    flow.must_begin_again();
    flow.must_pass();
    ssh.must_pass();
    let inside = Talk::begin(&site.host, &site.host, "10.1.0.1", 99);
    inside.must_pass();
    assert_eq!(gate.take_terminated(), None);
}

#[test]
fn what_a_reload_finds_is_older_than_any_later_gap() {
    let site = Site::new();
    track(&site.host);
    let lenient = TableSpec { protected: vec![tcp(23)], ..rules(FirewallPolicy::Reject) };
    let mut gate = raised(&site.host, lenient, ceiling());
    let ssh = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    let _ = gate.reconfigure(hidden(), ceiling(), BootInstant::now());
    gap(&site.host, &mut gate, || track(&site.host));
    ssh.must_pass();
    assert_eq!(gate.take_terminated(), None);
}
