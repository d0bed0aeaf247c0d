//! Starts with too little of something. Wherever a start fails, the firewall stays as it was: nobody is
//! protected by a server that hears nobody.

use sknock_tests::wait::until;
use sknock_tests::{Authority, Daemon, Ledger, World};

/// Starts once with each of these limits; how many starts served.
fn serves_or_leaves_all_as_it_was(limits: impl Iterator<Item = String>) -> usize {
    let (world, authority) = (World::new(), Authority::new());
    let ledger = Ledger::new(&world, &authority, 1);
    let config = Ledger::config(&authority).set("onExit", "open").set("workers", "2");
    let mut served = 0;
    for limit in limits {
        let mut daemon = Daemon::stopped(&world.gateway, &config);
        daemon.settle();
        daemon.start_by(&format!("prlimit {limit}"));
        let mark = daemon.mark();
        daemon.begin();
        let accepts = |line: &String| line.ends_with(Daemon::ACCEPTING);
        until("it serves, or ends", || {
            daemon.has_ended() || daemon.said_since(mark).iter().any(accepts)
        });
        if daemon.has_ended() {
            let ended = daemon.wait_for_end();
            assert!(ended.code.is_none_or(|code| code != 0), "{limit}: {}", ended.said);
            assert_eq!(world.gateway.table(), None, "{limit}: {}", ended.said);
        } else {
            ledger.knock().must_be_granted();
            assert_eq!(daemon.stop().code, Some(0), "{limit}");
            served += 1;
        }
    }
    served
}

#[test]
fn with_few_descriptors_it_serves_or_leaves_everything_as_it_was() {
    let limits = (4..40).map(|most| format!("--nofile={most}:1024"));
    let served = serves_or_leaves_all_as_it_was(limits);
    assert!((1..36).contains(&served), "{served} of 36: the limits are beside the point");
}

#[test]
fn with_little_memory_it_serves_or_leaves_everything_as_it_was() {
    let limits = (1..40).map(|megabytes| format!("--data={}", megabytes << 20));
    let served = serves_or_leaves_all_as_it_was(limits);
    assert!((1..39).contains(&served), "{served} of 39: the limits are beside the point");
}
