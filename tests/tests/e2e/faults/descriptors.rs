//! No file can be opened any more.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use sknock_tests::{Authority, Daemon, Echo, Ledger, World, process};

/// What processes usually have.
const USUAL: u64 = 1024;

#[test]
fn a_privileged_process_without_descriptors_continues_and_recovers() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    let parent = daemon.parent();
    process::limit(parent, "nofile", 3);

    // What runs goes on; what would need a new process does not begin.
    ledger.must_hold(&daemon);
    let mark = daemon.mark();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_since(mark, "The previous configuration stays in force");
    ledger.must_hold(&daemon);
    world.gateway.nft("flush ruleset");
    daemon.wait_since(mark, "another program removed table inet sknock. Restored it");
    ledger.must_hold(&daemon);

    // The network process cannot be replaced for as long as that lasts, and then is.
    let mark = daemon.mark();
    kill(daemon.network(), Signal::SIGKILL).unwrap();
    daemon.wait_since(mark, "Too many open files");
    ledger.read(&daemon);
    ledger.must_be_protected();
    process::limit(parent, "nofile", USUAL);
    daemon.wait_since(mark, Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
}

/// Each answer takes a descriptor, as nothing is bound: doors open, and clients are not told.
#[test]
fn a_network_process_without_descriptors_and_without_a_socket_opens_and_cannot_answer() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let config = Ledger::config(&authority).set("intake", "nflog");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    ledger.knock().must_be_granted();
    process::limit(daemon.network(), "nofile", 3);
    let mark = daemon.mark();
    let knock = ledger.knock();
    daemon.wait_since(mark, "granted, but the answer was not sent");
    assert!(world.gateway.doors().iter().any(|door| door.knock == knock.id()));
    ledger.must_be_protected();
    process::limit(daemon.network(), "nofile", USUAL);
    ledger.must_hold(&daemon);
}

/// Journal and horizon are open since the start.
#[test]
fn a_network_process_without_descriptors_still_records_knocks() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let age = Duration::from_secs(300);
    let ledger = Ledger::new(&world, &authority, 60).of_age(age);
    // Without a bound socket each answer takes a descriptor, too.
    let config = Ledger::config(&authority).set("intake", "socket");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    ledger.knock().must_be_granted();
    process::limit(daemon.network(), "nofile", 3);
    // Below the horizon, which is a minute ahead of the first.
    ledger.knock().must_be_granted();
    ledger.knock_aged(Duration::ZERO).must_be_granted();
    ledger.repeat(&daemon, usize::MAX);
    process::limit(daemon.network(), "nofile", USUAL);
    ledger.must_hold(&daemon);
}
