//! Processes that stand still for a while.

use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sknock_tests::{Authority, Daemon, Echo, Ledger, Sent, World, process};

/// Long enough to see what is lost; the sockets hold more than these knocks.
const STILL: Duration = Duration::from_secs(2);
const KNOCKS: usize = 60;

fn gate(daemon: &Daemon<'_>) -> Pid {
    daemon.parent()
}

fn network(daemon: &Daemon<'_>) -> Pid {
    daemon.network()
}

/// Knocks while one of the processes stands still: all are judged when it goes on, none twice.
#[track_caller]
fn nothing_is_lost(intake: &str, still: fn(&Daemon<'_>) -> Pid) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let config = Ledger::config(&authority).set("intake", intake);
    let daemon = Daemon::start_settled(&world.gateway, &config);
    let pid = still(&daemon);
    process::stop(pid);
    let sent: Vec<Sent> = (0..KNOCKS).map(|_| ledger.knock()).collect();
    thread::sleep(STILL);
    kill(pid, Signal::SIGCONT).unwrap();
    for one in &sent {
        let _ = one.must_be_granted();
    }
    ledger.must_hold(&daemon);
}

#[test]
fn knocks_wait_while_the_gate_is_stopped() {
    for intake in ["nflog", "socket"] {
        nothing_is_lost(intake, gate);
    }
}

#[test]
fn knocks_wait_while_the_network_process_is_stopped() {
    for intake in ["nflog", "socket"] {
        nothing_is_lost(intake, network);
    }
}

#[test]
fn a_reload_replaces_a_stopped_network_process() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    let granted = ledger.knock();
    granted.must_be_granted();
    let still = daemon.network();
    process::stop(still);
    let waiting = ledger.knock();
    daemon.reload();
    assert_ne!(daemon.network(), still);
    waiting.must_be_granted();
    assert!(world.gateway.doors().iter().any(|door| door.knock == granted.id()));
    ledger.must_hold(&daemon);
}
