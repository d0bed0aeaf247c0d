//! The table of chains in docs/ARCHITECTURE.md.

use std::collections::BTreeSet;

use sknock_gate::{FirewallPolicy, TableSpec};

use crate::table_spec::{all_tables, rules};
use crate::{tcp, udp};

/// It lists every chain, each once.
#[test]
fn the_chain_table_of_the_architecture_has_every_chain() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ARCHITECTURE.md");
    let document = std::fs::read_to_string(path).unwrap();
    let table = document.lines().skip_while(|line| !line.starts_with("| chain | hook, priority"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| {
        let chains = row.split('|').nth(1).unwrap();
        chains.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    });
    let mut listed: Vec<String> = names.collect();
    listed.sort_unstable();
    let shared = TableSpec { knock_ports: vec![udp(5000, 5000)], ..rules(FirewallPolicy::Reject) };
    let with_v1_port = TableSpec { protected: vec![tcp(22, 22), udp(53, 53)], ..shared.clone() };
    let chains = all_tables().into_iter().chain([shared, with_v1_port]);
    let chains = chains.flat_map(|rules| rules.chains()).map(|chain| chain.name.to_string());
    let known: BTreeSet<String> = chains.collect();
    assert_eq!(listed, known.into_iter().collect::<Vec<_>>());
}
