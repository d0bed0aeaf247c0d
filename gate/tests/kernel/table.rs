//! The table, word for word as nft lists it.

use std::time::Duration;

use sknock_gate::{
    Chain, Firewall, FirewallPolicy, Gate, KnockCapture, Rule, SourceLimit, TableContent,
    TableSpec, TagElements, Transport,
};

use crate::netns::Net;
use crate::setup::{
    ask, ceiling, elements, grant_request, held_by, once, open, raised, range, rules, tcp, udp,
};

/// What nft prints of a chain is what the description says.
pub(crate) fn has_lines(table: &str, chain: &str, lines: &[Rule]) {
    let header = format!("chain {chain} {{");
    let printed = table.lines().map(str::trim).skip_while(|line| **line != header).skip(1);
    let mut printed = printed.skip_while(|line| line.starts_with("type filter hook"));
    for line in lines {
        assert_eq!(printed.next(), Some(line.to_string().as_str()), "{chain}: {table}");
    }
}

fn listed(rules: &TableSpec) -> String {
    let net = Net::new();
    net.inside(|| Firewall::open().unwrap().install(rules, TableContent::default()).unwrap());
    let text = net.table();
    for Chain { name, lines, .. } in rules.chains() {
        has_lines(&text, &name.to_string(), &lines);
    }
    // Administrators save it, and have it loaded when the machine boots.
    net.nft("flush ruleset");
    net.load(&text);
    assert_eq!(net.table(), text);
    text
}

#[test]
fn all_traffic_rejected() {
    let rules = TableSpec { always_open: vec![tcp(22)], ..rules(FirewallPolicy::Reject) };
    assert_eq!(listed(&rules), include_str!("golden/all_rejected.nft"));
}

#[test]
fn all_traffic_dropped() {
    assert_eq!(listed(&rules(FirewallPolicy::Drop)), include_str!("golden/all_dropped.nft"));
}

#[test]
fn only_protected_ports_rejected() {
    let rules = TableSpec {
        protected: vec![tcp(22), range(Transport::Tcp, 8000, 8010), udp(53), udp(40000)],
        ephemeral: vec![range(Transport::Udp, 32768, 60999)],
        always_open: vec![tcp(443), range(Transport::Udp, 100, 200)],
        knock_ports: vec![udp(5000), range(Transport::Udp, 6000, 6001)],
        knock_lengths: (700, 1208),
        capacity: 4096,
        gc_interval: Duration::from_secs(1),
        ..rules(FirewallPolicy::Reject)
    };
    assert_eq!(listed(&rules), include_str!("golden/protected_rejected.nft"));
}

#[test]
fn only_protected_ports_dropped() {
    let rules = TableSpec { protected: vec![tcp(22), udp(53)], ..rules(FirewallPolicy::Drop) };
    assert_eq!(listed(&rules), include_str!("golden/protected_dropped.nft"));
}

#[test]
fn policy_none_closes_only_the_knock_port_except_to_knocks() {
    assert_eq!(listed(&rules(FirewallPolicy::None)), include_str!("golden/no_policy.nft"));
}

#[test]
fn knocks_are_copied_before_anything_is_denied() {
    let rules = TableSpec {
        knock_ports: vec![udp(5000), range(Transport::Udp, 10000, 60000)],
        capture: KnockCapture::Log { group: 5344 },
        source_limit: Some(SourceLimit { per_second: 20, burst: 100, sources: 4096 }),
        ..rules(FirewallPolicy::Drop)
    };
    assert_eq!(listed(&rules), include_str!("golden/copied.nft"));
}

/// Where v1 is accepted, of several lengths.
#[test]
fn at_an_open_knock_port_only_plain_datagrams_as_long_as_a_knock_are_rejected() {
    for (knock_lengths, golden) in [
        ((1208, 1208), include_str!("golden/knock_closed.nft")),
        ((333, 1208), include_str!("golden/knock_closed_v1.nft")),
    ] {
        let rules = TableSpec {
            protected: vec![tcp(22)],
            knock_ports: vec![udp(5000)],
            knock_lengths,
            capture: KnockCapture::Log { group: 5344 },
            ..rules(FirewallPolicy::Drop)
        };
        let listed = listed(&rules);
        let chain = |name: &str| {
            let from = listed.find(&format!("chain {name} {{")).unwrap();
            let length = listed[from..].find("\t}\n").unwrap();
            listed[from..from + length].to_owned()
        };
        let both = ["knock_closed", "knock_unprotected"].map(chain).concat();
        assert_eq!(both, golden);
    }
}

#[test]
fn untagged_datagrams_are_dropped_before_the_capture() {
    let rules = TableSpec {
        tagged_length: Some(1208),
        knock_lengths: (700, 1208),
        knock_ports: vec![udp(5000), range(Transport::Udp, 10000, 60000)],
        capture: KnockCapture::Log { group: 5344 },
        ..rules(FirewallPolicy::Drop)
    };
    assert_eq!(listed(&rules), include_str!("golden/tagged_dropped.nft"));
}

#[test]
fn untagged_datagrams_are_rejected_like_datagrams_of_other_lengths() {
    let rules = TableSpec {
        tagged_length: Some(1208),
        protected: vec![tcp(22)],
        ..rules(FirewallPolicy::Reject)
    };
    assert_eq!(listed(&rules), include_str!("golden/tagged_rejected.nft"));
}

#[test]
fn a_socket_receives_only_knocks() {
    let rules = TableSpec {
        protected: vec![tcp(22)],
        source_limit: Some(SourceLimit { per_second: 1000, burst: 5000, sources: 4096 }),
        ..rules(FirewallPolicy::Drop)
    };
    assert_eq!(listed(&rules), include_str!("golden/metered.nft"));
}

/// A ruleset that is saved while tags are loaded can be loaded again, and its tags end.
#[test]
fn tags_are_listed_as_numbers_that_can_be_loaded() {
    let net = Net::new();
    let tags = [[0, 0, 0, 1], [0xff, 0x80, 0, 0x7f]].map(|tag| (tag, Duration::from_secs(600)));
    let tags = TagElements { tags: tags.to_vec(), complete_for: Duration::from_secs(600) };
    let content = TableContent { tags: Some(&tags), ..TableContent::default() };
    let rules = TableSpec { tagged_length: Some(1208), ..rules(FirewallPolicy::Drop) };
    net.inside(|| Firewall::open().unwrap().install(&rules, content).unwrap());
    // Without the time that is left, which nft writes as 10m or 9m59s992ms.
    let words = |table: String| {
        let mut words: Vec<String> = table.split_whitespace().map(ToOwned::to_owned).collect();
        let lefts: Vec<usize> =
            (1..words.len()).filter(|place| words[place - 1] == "expires").collect();
        for place in lefts {
            words[place] = "-".into();
        }
        words.join(" ")
    };
    let before = net.table();
    for element in
        ["0x1 timeout 10m expires ", "0xff80007f timeout 10m expires ", "ipv6 timeout 10m"]
    {
        assert!(before.contains(element), "{before}");
    }
    net.nft("flush ruleset");
    net.load(&before);
    assert_eq!(words(net.table()), words(before));
}

#[test]
fn grants_are_legible() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&["192.0.2.7", "2001:db8::7"], &[tcp(22), udp(53)], 600));
    open(&mut gate, once(held_by(0xab, grant_request(&["2001:db8::8"], &[tcp(80)], 600))));
    let table = net.table();
    let label = "comment \"k=6b6e6f636b2d6964 i=cacacacacacacacacacacaca s=01 n=alice\"";
    for grant_key in ["192.0.2.7 . tcp . 22", "192.0.2.7 . udp . 53", "2001:db8::7 . tcp . 22"] {
        let line = table.lines().find(|line| line.contains(grant_key)).expect(grant_key);
        assert!(line.contains("timeout 10m expires "), "{line}");
        assert!(line.contains(label), "{line}");
    }
    assert!(table.contains("2001:db8::8 . tcp . 80 timeout 10m expires "), "{table}");
    assert!(table.contains("s=ab n=alice"), "{table}");
}

#[test]
fn tables_of_others_do_not_change() {
    let net = Net::new();
    net.nft(
        "table inet filter { set s { type ipv4_addr; flags timeout; elements = { 192.0.2.1 comment \"x\" } }
           chain input { type filter hook input priority 0; policy drop; ip saddr @s accept; } }
         table ip nat { chain prerouting { type nat hook prerouting priority -100;
           tcp dport 80 redirect to :8080; } }
         table ip sknock { chain deny { ip saddr 192.0.2.9 drop; } }",
    );
    let before = net.run("nft", &["-a", "list", "ruleset"]);
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
    ask(&mut gate, &sknock_gate::Request::Activate);
    let during = net.run("nft", &["-a", "list", "ruleset"]);
    assert_ne!(before, during);
    assert!(during.starts_with(&before), "ours is listed last, as the youngest:\n{during}");
    gate.remove().unwrap();
    assert_eq!(net.run("nft", &["-a", "list", "ruleset"]), before);
}

#[test]
fn removing_a_missing_table_is_no_error() {
    let net = Net::new();
    let mut firewall = net.inside(|| Firewall::open().unwrap());
    firewall.remove().unwrap();
    firewall.install(&rules(FirewallPolicy::Drop), TableContent::default()).unwrap();
    assert_eq!(net.run("nft", &["list", "tables"]), "table inet sknock\n");
    firewall.remove().unwrap();
    assert_eq!(net.run("nft", &["list", "tables"]), "");
    firewall.remove().unwrap();
}

#[test]
fn a_hundred_thousand_bytes_of_rules_are_loaded_at_once() {
    let net = Net::new();
    let protected: Vec<_> = (1..=2000).map(|n| tcp(n * 30)).collect();
    let rules = TableSpec { protected, ..rules(FirewallPolicy::Reject) };
    net.inside(|| Firewall::open().unwrap().install(&rules, TableContent::default()).unwrap());
    let table = net.table();
    let judged =
        table.lines().filter(|line| line.contains("tcp dport") && line.contains("any_grant"));
    assert_eq!(judged.count(), 2000);
}

#[test]
fn contradictory_rules_change_nothing() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let before = net.table();
    let nonsense = TableSpec { protected: vec![tcp(22)], ..rules(FirewallPolicy::None) };
    let outcome = gate.reconfigure(nonsense, ceiling(), sknock_gate::BootInstant::now());
    assert!(outcome.to_string().contains("protectedPorts has no effect"), "{outcome}");
    assert_eq!(net.table(), before);
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
}

#[test]
fn a_new_configuration_keeps_what_it_permits() {
    let net = Net::new();
    let mut gate: Gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22), tcp(80)], 600));
    let narrower = sknock_gate::Ceiling { services: vec![tcp(22)], ..ceiling() };
    let outcome =
        gate.reconfigure(rules(FirewallPolicy::Reject), narrower, sknock_gate::BootInstant::now());
    assert_eq!(outcome, sknock_gate::Outcome::Activated { open: 1, dropped: 1 });
    let table = net.table();
    assert!(table.contains("192.0.2.7 . tcp . 22") && table.contains("reject"), "{table}");
    assert_eq!(elements(&net).len(), 1);
}
