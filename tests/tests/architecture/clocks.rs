//! Time is an argument. Only edges read a clock, so that everything behind them can be tested at any
//! time, and no clock that is wrong for a moment decides anything twice.

use std::collections::BTreeSet;

use crate::house;

/// Where clocks are read.
const READERS: &[&str] = &[
    "certs/src/main.rs",       // the time of a run of sknock-ca
    "client-lib/src/clock.rs", // stamps and timeouts
    "gate/src/uptime.rs",      // deadlines of grants, since boot
    "server/src/sys/clock.rs", // the wall clock of sknockd
];

/// Who asks these readers: the outermost loops, and nobody that decides.
const CALLERS: &[&str] = &[
    "certs/src/main.rs",
    "client-lib/src/client/knock_once.rs", // one attempt: stamp, wait, learn
    "client-lib/src/client.rs",            // when a call began
    "client-lib/src/client/retry.rs",      // several attempts and their pauses
    "client-lib/src/tcp_connect.rs",       // how long a connection may take
    "server/src/network.rs",               // is the stored revocation list still good
    "server/src/network/serve.rs",         // hands the clock to the intake
    "server/src/commands.rs",              // check and explain
    "server/src/supervisor.rs",            // what is left of an earlier run's trial
    "server/src/supervisor/last_state.rs", // both clocks, one right after the other
    "server/src/supervisor/supervise.rs",  // the parent's loop, by uptime
    "server/src/supervisor/supervise/gate_service.rs", // no list of the future is reported
    "server/src/supervisor/supervise/stop.rs", // how long processes may take to finish
    "server/src/crl.rs",                   // when a fetched list arrives
];

/// Names by which the standard library and ours read a clock.
const CLOCKS: [&str; 5] =
    ["SystemTime::now", "Instant::now", "clock_gettime", "UNIX_EPOCH.elapsed", "now_utc"];

#[test]
fn only_edges_read_a_clock() {
    let sources = house::product();
    let reads =
        |source: &&house::Source| CLOCKS.iter().any(|clock| !source.lines_with(clock).is_empty());
    let found: BTreeSet<&str> = sources.iter().filter(reads).map(|s| s.path.as_str()).collect();
    assert_eq!(found, READERS.iter().copied().collect(), "take the time as an argument instead");
}

#[test]
fn only_edges_lift_clippys_ban() {
    let sources = house::product();
    let lifts = |source: &&house::Source| source.code().contains("disallowed_methods");
    let found: BTreeSet<&str> = sources.iter().filter(lifts).map(|s| s.path.as_str()).collect();
    let mut expected: BTreeSet<&str> = READERS.iter().copied().collect();
    expected.remove("gate/src/uptime.rs"); // through nix, which clippy does not watch
    assert_eq!(found, expected, "an exception from the ban on clocks is an edge, and listed here");
}

#[test]
fn only_outermost_loops_ask_for_the_time() {
    let asks = |source: &&house::Source| {
        ["clock::now", "BootInstant::now", "BootInstant::suspended", "Timer::of", "SystemTime::now"]
            .iter()
            .any(|call| !source.lines_with(call).is_empty())
    };
    let sources = house::product();
    let found: BTreeSet<&str> = sources
        .iter()
        .filter(asks)
        .map(|source| source.path.as_str())
        .filter(|path| !READERS.contains(path) || *path == "certs/src/main.rs")
        .collect();
    assert_eq!(
        found,
        CALLERS.iter().copied().collect(),
        "what decides is told the time: then one knock is judged at one moment, and `explain` can \
         judge it at any other"
    );
}

#[test]
fn the_map_names_the_files_that_read_a_clock() {
    let map = house::map();
    for path in READERS {
        assert!(
            map.contains(path),
            "docs/ARCHITECTURE.md: where is {path}? clippy.toml points there"
        );
    }
}
