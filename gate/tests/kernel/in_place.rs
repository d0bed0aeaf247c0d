//! One description takes the place of another while packets come in: base chains stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sknock_gate::{
    Firewall, FirewallPolicy, KnockCapture, Rollback, SourceLimit, TableContent, TableSpec,
    Transport,
};

use crate::netns::Net;
use crate::setup::{range, rules, tcp, udp};

const LONG: Duration = Duration::from_secs(600);

/// Descriptions that differ in all that a configuration can change.
fn several() -> Vec<TableSpec> {
    let copied = TableSpec {
        knock_ports: vec![udp(5000), range(Transport::Udp, 10000, 60000)],
        capture: KnockCapture::Log { group: 5344 },
        source_limit: Some(SourceLimit { per_second: 20, burst: 100, sources: 4096 }),
        ..rules(FirewallPolicy::Drop)
    };
    vec![
        rules(FirewallPolicy::Reject),
        TableSpec { protected: vec![tcp(22)], capacity: 64, ..rules(FirewallPolicy::Drop) },
        rules(FirewallPolicy::None),
        copied.clone(),
        TableSpec { knock_ports: Vec::new(), ..rules(FirewallPolicy::None) },
        TableSpec { source_limit: None, ..copied },
    ]
}

fn raise(net: &Net, rules: &TableSpec) {
    net.inside(|| Firewall::open().unwrap().install(rules, TableContent::default())).unwrap();
}

fn listed(net: &Net) -> String {
    net.run("nft", &["--stateless", "list", "table", "inet", "sknock"])
}

/// The sets and chains: chains that stay come before those that are new.
fn blocks(listing: &str) -> BTreeSet<&str> {
    listing.split_terminator("\n\n").map(|block| block.trim_matches(['\n', '}'])).collect()
}

fn as_if_new(rules: &TableSpec) -> String {
    let net = Net::new();
    raise(&net, rules);
    listed(&net)
}

/// Without what ends the table, and its first line, which are beside the first and the last block.
fn inner(listing: &str) -> String {
    let (_, rest) = listing.split_once('\n').unwrap();
    rest.trim_end().trim_end_matches('}').trim_end().to_owned()
}

#[track_caller]
fn is_as_if_new(net: &Net, rules: &TableSpec, what: &str) {
    let (found, wanted) = (inner(&listed(net)), inner(&as_if_new(rules)));
    assert_eq!(blocks(&found), blocks(&wanted), "{what}");
}

/// The numbers that the kernel has given to base chains, each for as long as it is there.
fn base_chains(net: &Net) -> BTreeMap<String, String> {
    let listing = net.run("nft", &["--handle", "list", "table", "inet", "sknock"]);
    let lines: Vec<&str> = listing.lines().map(str::trim).collect();
    let bases = lines.windows(2).filter(|pair| pair[1].starts_with("type filter hook"));
    bases
        .map(|pair| {
            let (name, number) = pair[0].split_once(" { # handle ").expect(pair[0]);
            (name.to_owned(), number.to_owned())
        })
        .collect()
}

#[test]
fn base_chains_stay_when_the_table_spec_is_replaced() {
    let net = Net::new();
    let mut before = BTreeMap::new();
    for rules in several().iter().chain(several().iter().rev()) {
        raise(&net, rules);
        is_as_if_new(&net, rules, "another description");
        let now = base_chains(&net);
        assert!(now.contains_key("chain input"), "{now:?}");
        for (name, number) in &before {
            assert!(now.get(name).is_none_or(|now| now == number), "{name} was replaced");
        }
        before = now;
    }
}

#[test]
fn base_chains_stay_from_before_a_trial_to_its_end() {
    let (net, mut before) = (Net::new(), BTreeMap::new());
    let [old, new] = [rules(FirewallPolicy::Reject), rules(FirewallPolicy::Drop)];
    let mut stays = || {
        let now = base_chains(&net);
        for (name, number) in &before {
            assert!(now.get(name).is_none_or(|now| now == number), "{name} was replaced");
        }
        before = now;
    };
    raise(&net, &old);
    stays();
    let rollback = Rollback { previous: Some(&old), remaining: LONG };
    net.inside(|| {
        Firewall::open().unwrap().install_on_trial(&new, rollback, TableContent::default())
    })
    .unwrap();
    stays();
    raise(&net, &new);
    stays();
    is_as_if_new(&net, &new, "confirmed");
}

/// Whatever somebody has made of the table, it is ours afterwards.
#[test]
fn changes_by_others_to_the_table_are_undone() {
    for done in [
        "flush table inet sknock",
        "delete table inet sknock",
        "delete chain inet sknock forward",
        "flush chain inet sknock input; add rule inet sknock input accept",
        "flush chain inet sknock input; add rule inet sknock input tcp dport { 22, 80 } accept",
        "add chain inet sknock early { type filter hook input priority -400; policy drop; }",
        "add chain inet sknock other; add rule inet sknock input jump other",
        "add set inet sknock mine { type ipv4_addr; }; add rule inet sknock input ip saddr @mine accept",
        "add map inet sknock mine { type ipv4_addr : verdict; }; \
         add rule inet sknock input ip saddr vmap @mine",
        "flush chain inet sknock forward; delete chain inet sknock forward; \
         add chain inet sknock forward { type filter hook input priority 7; }",
        "flush chain inet sknock forward; delete chain inet sknock forward; add chain inet sknock forward",
        "flush chain inet sknock forward; delete chain inet sknock forward; \
         add chain inet sknock forward { type route hook output priority -150; }",
        "add chain inet sknock input { policy drop; }",
        "add element inet sknock grant4 { 192.0.2.1 . tcp . 22 timeout 1h }",
        "add table inet sknock { flags dormant; }",
    ] {
        let net = Net::new();
        let rules = rules(FirewallPolicy::Reject);
        raise(&net, &rules);
        net.run("nft", &[done]);
        raise(&net, &rules);
        is_as_if_new(&net, &rules, done);
    }
}
