//! A gate begins where an earlier one was: it takes over what that one has granted, all of it, and
//! nothing that only the kernel's sets say.

use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use sknock_gate::{
    BootInstant, FirewallPolicy, FlowKey, Gate, GrantFile, GrantKey, GrantLabel, Origin, Outcome,
    Request, Response, TableSpec, Transport,
};

use crate::netns::{Net, until};
use crate::reach::Found::{Closed, Open};
use crate::reach::{Site, each, listen};
use crate::session::{Flow, Talk};
use crate::setup::{
    ask, begun, ceiling, cert, elements, grant_file, grant_request, held_by, once, open, raised,
    rules, tcp, tell, udp,
};

/// What `nft` says of all tables, in a file.
fn save(net: &Net) -> String {
    let path = net.file("saved.nft");
    fs::write(&path, net.nft("list ruleset")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn load(net: &Net, saved: &str) {
    net.run("nft", &["-f", saved]);
}

fn restarted(net: &Net) -> Gate {
    raised(net, rules(FirewallPolicy::Reject), ceiling())
}

fn close(gate: &mut Gate, serial: u8) {
    assert!(matches!(ask(gate, &Request::close(cert(serial))), Response::Closed { .. }));
}

#[test]
fn a_ruleset_that_was_saved_elsewhere_grants_and_blocks_nothing() {
    let (before, site) = (Net::new(), Site::new());
    let mut gate = raised(&before, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], 600));
    close(&mut gate, 1);
    open(&mut gate, grant_request(&Site::CLIENT, &[tcp(22)], 600));
    open(&mut gate, once(grant_request(&Site::CLIENT, &[tcp(80)], 600)));
    let saved = save(&before);
    assert_eq!(elements(&before).len(), 4);
    // Another boot: another namespace, with the same files beside the claim, if there are any.
    for file in ["grants.0", "grants.1"] {
        fs::copy(before.file(file), site.host.file(file)).unwrap();
    }
    load(&site.host, &saved);
    let _services = [22, 80].map(|port| listen(&site.host, port));
    assert_eq!(site.tcp(22), each(Open, Closed), "the ruleset alone does grant");
    let mut gate = begun(&site.host, rules(FirewallPolicy::Reject), ceiling());
    assert_eq!(tell(&mut gate, &Request::Activate), Outcome::Activated { open: 0, dropped: 0 });
    assert_eq!(elements(&site.host), []);
    assert_eq!([22, 80].map(|port| site.tcp(port)), [each(Closed, Closed); 2]);
    let unknown = gate.take_unknown().expect("somebody should know").to_string();
    assert!(unknown.contains(": 4; ") && unknown.contains("10.1.0.2 to tcp/22 (alice)"));
    assert_eq!(cut(&site.host), 0);
}

/// How many ways the kernel has cut.
fn cut(net: &Net) -> usize {
    net.inside(|| sknock_gate::Firewall::open().unwrap().dump_blocked().unwrap().len())
}

#[test]
fn what_was_closed_does_not_come_back_with_a_saved_ruleset_while_no_gate_runs() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
    open(&mut gate, held_by(2, grant_request(&["192.0.2.8"], &[tcp(22)], 600)));
    let saved = save(&net);
    close(&mut gate, 1);
    drop(gate);
    net.nft("flush ruleset");
    load(&net, &saved);
    assert_eq!(elements(&net).len(), 2);
    let mut gate = begun(&net, rules(FirewallPolicy::Drop), ceiling());
    assert_eq!(tell(&mut gate, &Request::Activate), Outcome::Activated { open: 1, dropped: 0 });
    let left: Vec<_> = elements(&net).iter().map(|element| element.label.cert).collect();
    assert_eq!(left, [cert(2)]);
    assert!(gate.take_unknown().unwrap().to_string().contains("192.0.2.7 to tcp/22"));
}

#[test]
fn elements_added_without_a_grant_are_removed_while_a_gate_runs() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let mut watch = net.inside(|| gate.watch().unwrap());
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
    let element = elements(&net).remove(0);
    close(&mut gate, 1);
    let comment = element.label.comment();
    net.nft(&format!(
        "add element inet sknock grant4 {{ 192.0.2.7 . tcp . 22 timeout 1h comment \"{comment}\" }}"
    ));
    net.nft("add element inet sknock grant4 { 192.0.2.9 . tcp . 22 timeout 1h }");
    let changes = watch.read();
    assert!(!changes.structure_changed && changes.added.len() == 2, "{changes:?}");
    gate.report_added_externally(&changes.added, BootInstant::now()).unwrap();
    let left: Vec<String> =
        elements(&net).iter().map(|element| element.grant_key.address.to_string()).collect();
    assert_eq!(left, ["192.0.2.9"], "what the administrator adds by hand stays");
    assert!(gate.take_unknown().unwrap().to_string().contains(": 1; 192.0.2.7 to tcp/22"));
}

#[test]
fn a_single_use_that_was_used_does_not_come_back_with_a_saved_ruleset() {
    for runs in [true, false] {
        let site = Site::new();
        let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
        let mut watch = site.host.inside(|| gate.watch().unwrap());
        open(&mut gate, once(grant_request(&["10.1.0.2"], &[tcp(22)], 600)));
        let saved = save(&site.host);
        let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
        assert_eq!(elements(&site.host), []);
        // Longer than what the kernel's clock and ours may be apart.
        std::thread::sleep(Duration::from_secs(2));
        site.host.nft("flush ruleset");
        load(&site.host, &saved);
        if runs {
            let changes = watch.read();
            gate.report_added_externally(&changes.added, BootInstant::now()).unwrap();
            let _ = gate.reinstall(BootInstant::now());
        } else {
            gate = restarted(&site.host);
        }
        assert_eq!(elements(&site.host), [], "{runs}");
        // And a revocation finds it.
        talk.must_pass();
        close(&mut gate, 1);
        talk.must_be_dead();
    }
}

#[test]
fn all_certificates_that_share_a_grant_keep_it_after_a_restart() {
    for (longer, revoked) in [(1, 1), (1, 2)] {
        let site = Site::new();
        let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
        for serial in [1, 2] {
            let seconds = if serial == longer { 600 } else { 300 };
            open(
                &mut gate,
                held_by(serial, grant_request(&Site::CLIENT, &[tcp(22), udp(53)], seconds)),
            );
        }
        let talks = Site::HOST.map(|host| Talk::begin(&site.client, &site.host, host, 22));
        let flows = Site::HOST.map(|host| Flow::begin(&site.client, &site.host, host, 53));
        drop(gate);
        let mut gate = restarted(&site.host);
        assert_eq!(gate.live().len(), 8);
        close(&mut gate, revoked);
        let other = 3 - revoked;
        let found = elements(&site.host);
        assert!(found.len() == 4 && found.iter().all(|one| one.label.cert == cert(other)));
        let max = if other == longer { 600 } else { 300 };
        assert!(found.iter().all(|one| one.remaining <= Duration::from_secs(max)), "{found:?}");
        talks.iter().for_each(Talk::must_pass);
        flows.iter().for_each(Flow::must_pass);
        close(&mut gate, other);
        assert_eq!(elements(&site.host), []);
        flows.iter().for_each(Flow::must_be_dead);
        talks.iter().for_each(Talk::must_be_dead);
    }
}

#[test]
fn what_has_ended_is_known_after_restarts() {
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(22)], 1));
    open(&mut gate, grant_request(&["10.1.0.2"], &[tcp(80)], 600));
    let [ssh, web] = [22, 80].map(|port| Talk::begin(&site.client, &site.host, "10.1.0.1", port));
    drop(gate);
    until("the kernel ends one", || elements(&site.host).len() == 1);
    std::thread::sleep(Duration::from_millis(100));
    drop(restarted(&site.host));
    // While none runs, the table goes, and the other grant with it.
    site.host.nft("flush ruleset");
    let mut gate = restarted(&site.host);
    assert_eq!(gate.live().len(), 0);
    ssh.must_pass();
    close(&mut gate, 1);
    ssh.must_be_dead();
    web.must_be_dead();
}

#[test]
fn a_revocation_terminates_a_used_single_use_grant_after_a_reload() {
    let site = Site::new();
    let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
    open(&mut gate, once(grant_request(&["10.1.0.2"], &[tcp(22)], 600)));
    let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
    let _ = gate.reconfigure(rules(FirewallPolicy::Reject), ceiling(), BootInstant::now());
    talk.must_pass();
    close(&mut gate, 1);
    talk.must_be_dead();
}

#[test]
fn a_used_single_use_grant_of_two_is_not_restored_when_one_is_closed() {
    for by_hand in [true, false] {
        let site = Site::new();
        let mut gate = raised(&site.host, rules(FirewallPolicy::Reject), ceiling());
        for serial in [1, 2] {
            open(
                &mut gate,
                held_by(serial, once(grant_request(&["10.1.0.2"], &[tcp(22), tcp(80)], 600))),
            );
        }
        let talk = Talk::begin(&site.client, &site.host, "10.1.0.1", 22);
        assert_eq!(elements(&site.host).len(), 1);
        if by_hand {
            let of = |label: &GrantLabel, _: &FlowKey| label.cert == cert(1);
            assert_eq!(gate.close_matching(of, BootInstant::now()).unwrap().len(), 2);
        } else {
            close(&mut gate, 1);
        }
        let left: Vec<u16> = elements(&site.host).iter().map(|one| one.grant_key.port).collect();
        assert_eq!(left, [80], "by hand: {by_hand}");
        talk.must_pass();
    }
}

#[test]
fn a_blocklist_entry_outlives_a_flush_while_no_gate_runs() {
    let site = Site::new();
    let mut gate = restarted(&site.host);
    open(&mut gate, grant_request(&["10.1.0.2"], &[udp(53)], 600));
    let flow = Flow::begin(&site.client, &site.host, "10.1.0.1", 53);
    close(&mut gate, 1);
    drop(gate);
    site.host.nft("flush ruleset");
    let gate = restarted(&site.host);
    assert_eq!(cut(&site.host), 1);
    flow.must_be_dead();
    drop(gate);
    // Nobody has cut this one.
    site.host.nft("add element inet sknock blocked4 { 10.1.0.2 . tcp . 22 }");
    let _gate = restarted(&site.host);
    assert_eq!(cut(&site.host), 1);
}

#[test]
fn an_element_added_with_nft_lasts_until_the_next_activation() {
    let net = Net::new();
    let _gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    net.nft("add element inet sknock grant4 { 192.0.2.9 . tcp . 22 timeout 1h }");
    let mut gate = begun(&net, rules(FirewallPolicy::Drop), ceiling());
    assert_eq!(tell(&mut gate, &Request::Activate), Outcome::Activated { open: 0, dropped: 0 });
    assert_eq!(elements(&net), []);
    assert!(gate.take_unknown().unwrap().to_string().contains("192.0.2.9 to tcp/22 (by-hand)"));
}

#[test]
fn a_truncated_entry_of_the_grant_file_is_skipped_and_earlier_ones_kept() {
    let net = Net::new();
    for torn in [&[][..], &[120], &[120, 1, 4, 10], &[0; 40], &[255; 600]] {
        net.nft("flush ruleset");
        let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
        open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
        open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(80)], 600));
        drop(gate);
        let lengths =
            ["grants.0", "grants.1"].map(|name| fs::metadata(net.file(name)).unwrap().len());
        let current = if lengths[0] > lengths[1] { "grants.0" } else { "grants.1" };
        let mut file = File::options().append(true).open(net.file(current)).unwrap();
        file.write_all(torn).unwrap();
        let mut gate = begun(&net, rules(FirewallPolicy::Drop), ceiling());
        assert_eq!(tell(&mut gate, &Request::Activate), Outcome::Activated { open: 2, dropped: 0 });
        open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(81)], 600));
        drop(gate);
        assert_eq!(raised(&net, rules(FirewallPolicy::Drop), ceiling()).live().len(), 3);
    }
}

#[test]
fn the_grant_file_does_not_grow_with_ended_grants() {
    let net = Net::new();
    let rules =
        TableSpec { gc_interval: Duration::from_millis(500), ..rules(FirewallPolicy::Drop) };
    let mut gate =
        raised(&net, rules.clone(), sknock_gate::Ceiling { per_second: 1_000_000, ..ceiling() });
    let size = || ["grants.0", "grants.1"].map(|name| fs::metadata(net.file(name)).unwrap().len());
    let mut max = 0;
    for _ in 0..400 {
        let ports: Vec<_> = (1..=64).map(tcp).collect();
        for some in ports.chunks(16) {
            open(&mut gate, grant_request(&["2001:db8::7"], some, 600));
        }
        close(&mut gate, 1);
        max = max.max(size().iter().sum());
    }
    assert!(max < 3 << 20, "{max} bytes");
    drop(gate);
    assert_eq!(raised(&net, rules, ceiling()).live().len(), 0);
}

#[test]
fn a_failed_write_of_the_grant_file_is_reported_and_grants_are_made() {
    let net = Net::new();
    drop(raised(&net, rules(FirewallPolicy::Drop), ceiling()));
    let mut gate = Gate::new(
        rules(FirewallPolicy::Drop),
        ceiling(),
        net.inside(|| sknock_gate::Firewall::open().unwrap()),
    );
    let read_only = ["grants.0", "grants.1"].map(|name| File::open(net.file(name)).unwrap());
    let origin = net.inside(|| Origin::here(&net.file(".")).unwrap());
    let (file, saved) = GrantFile::of(read_only, origin).unwrap();
    gate.save_to(file, saved);
    assert_eq!(ask(&mut gate, &Request::Activate), Response::Activated);
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
    assert!(gate.save_error().is_some() && gate.save_error().is_none(), "once");
    assert_eq!(elements(&net).len(), 1);
    // It is written as soon as that is possible.
    let (file, _) = grant_file(&net);
    gate.save_to(file, None);
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(80)], 600));
    gate.save(BootInstant::now().after(Duration::from_secs(2)));
    assert!(gate.save_error().is_none());
    drop(gate);
    assert_eq!(raised(&net, rules(FirewallPolicy::Drop), ceiling()).live().len(), 2);
}

#[test]
fn a_trial_is_remembered_until_it_is_confirmed_and_forgotten_with_the_table() {
    let net = Net::new();
    let trial = || grant_file(&net).1.and_then(|saved| saved.trial());
    let mut gate = begun(&net, rules(FirewallPolicy::Drop), ceiling());
    let now = BootInstant::now();
    let until = now.after(Duration::from_secs(600));
    let _ = gate.apply_on_trial(rules(FirewallPolicy::Drop), ceiling(), until, now);
    assert_eq!(trial(), Some(until));
    let _ = gate.confirm(now);
    assert_eq!(trial(), None);
    let grant_key = GrantKey {
        address: "192.0.2.7".parse().unwrap(),
        transport: Transport::Tcp,
        port: 22,
        single_use: false,
    };
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
    let _ = gate.apply_on_trial(rules(FirewallPolicy::Drop), ceiling(), until, now);
    assert_eq!(trial(), Some(until));
    gate.remove().unwrap();
    assert_eq!(trial(), None);
    let gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    assert!(!gate.live().is_held(&grant_key.flow(), None));
}
