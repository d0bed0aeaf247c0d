//! Datagrams dropped for lack of buffer space, by the kernel's counters.

use std::fs;

use sknock_tests::Namespace;

/// Datagrams lost since the namespace was made: at full UDP sockets, and at full netlink sockets, which
/// deliver copies.
pub(crate) fn lost(namespace: &Namespace) -> usize {
    let read = |name: &str| {
        let path = format!("/proc/thread-self/net/{name}");
        namespace.inside(|| fs::read_to_string(path)).expect("every namespace has it")
    };
    let number = |text: &str| text.parse::<usize>().expect("the kernel counts it");
    let udp = column(&read("snmp"), "Udp: ", "RcvbufErrors").map(number).sum::<usize>();
    let netlink = column(&read("netlink"), "", "Drops").map(number).sum::<usize>();
    udp + netlink
}

/// The values in column `name` of the lines that begin with `prefix`, of which the first contains the names.
fn column<'t>(text: &'t str, prefix: &str, name: &str) -> impl Iterator<Item = &'t str> {
    let mut lines = text.lines().filter(move |line| line.starts_with(prefix));
    let heads = lines.next().unwrap_or_default().split_whitespace();
    let place = heads.into_iter().position(|head| head == name).expect("the kernel names it");
    let rows: Vec<_> = lines.filter_map(|line| line.split_whitespace().nth(place)).collect();
    rows.into_iter()
}
