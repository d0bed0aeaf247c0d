//! How knocks come in: copied by the kernel, without a port that is bound, or by a socket. Seen by
//! clients, by scanners, by floods, and by other firewalls on the same host.

mod burst;
mod doors;
mod entries;
mod floods;
mod group;
mod headers;
mod scans;
mod sources;
mod traces;

use sknock_tests::{Authority, Config};

/// A firewallPolicy, and whether it is over all traffic.
type Policy = (&'static str, bool);

const POLICIES: [Policy; 5] =
    [("none", true), ("reject", true), ("drop", true), ("reject", false), ("drop", false)];

/// Protects tcp/22, or everything.
fn config(authority: &Authority, intake: &str, (policy, all): Policy) -> Config {
    let ports = if all { "" } else { "tcp/22" };
    Config::new(authority)
        .set("intake", intake)
        .set("firewallPolicy", policy)
        .set("protectedPorts", ports)
        .set("alwaysOpenPorts", "")
}
