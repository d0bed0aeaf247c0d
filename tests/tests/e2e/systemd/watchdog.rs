//! systemd hears that all is well while knocks are judged, and nothing as soon as a process stands
//! still.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use sknock_tests::wait::Limit;
use sknock_tests::{Authority, Daemon, Echo, Ledger, World, process};

use super::ears::Ears;

const WELL: &str = "WATCHDOG=1";

/// Three questions: long enough to notice that nobody answers.
const SILENCE: Duration = Duration::from_secs(7);

#[test]
fn watchdog_messages_continue_while_knocks_work_and_over_a_reload() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    for intake in ["nflog", "socket"] {
        let config = Ledger::config(&authority).set("intake", intake);
        let mut daemon = Daemon::stopped(&world.gateway, &config);
        daemon.settle();
        let systemd = Ears::watching(&mut daemon);
        daemon.begin();
        systemd.hears("READY=1");
        (0..3).for_each(|_| systemd.hears(WELL));
        daemon.reload();
        systemd.hears("RELOADING=1");
        systemd.hears("READY=1");
        (0..3).for_each(|_| systemd.hears(WELL));
        ledger.knock().must_be_granted();
        daemon.stop();
        systemd.hears("STOPPING=1");
    }
}

#[test]
fn without_a_watchdog_no_watchdog_messages_are_sent() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Ledger::config(&authority));
    let systemd = Ears::listening(&mut daemon);
    daemon.begin();
    systemd.hears("READY=1");
    assert_eq!(systemd.until(Limit::new(SILENCE)), [""; 0]);
}

#[test]
fn a_stopped_network_process_ends_watchdog_messages_and_is_replaced() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let mut daemon = Daemon::stopped(&world.gateway, &Ledger::config(&authority));
    daemon.settle();
    let systemd = Ears::watching(&mut daemon);
    daemon.begin();
    systemd.hears(WELL);
    let granted = ledger.knock();
    granted.must_be_granted();

    let (mark, still) = (daemon.mark(), daemon.network());
    process::stop(still);
    // One answer may have been under way.
    systemd.until(Limit::new(Duration::from_secs(2)));
    assert_eq!(systemd.until(Limit::new(SILENCE)), [""; 0]);
    let waiting = ledger.knock();
    daemon.wait_since(mark, "did not answer in time");
    daemon.wait_since(mark, Daemon::ACCEPTING);
    assert_ne!(daemon.network(), still);
    systemd.forget();
    systemd.hears(WELL);
    waiting.must_be_granted();
    assert!(world.gateway.doors().iter().any(|door| door.knock == granted.id()));
    ledger.must_hold(&daemon);
}

#[test]
fn a_network_process_that_was_slow_is_not_replaced() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Ledger::config(&authority));
    let systemd = Ears::watching(&mut daemon);
    daemon.begin();
    systemd.hears(WELL);
    let network = daemon.network();
    process::stop(network);
    systemd.until(Limit::new(SILENCE));
    kill(network, Signal::SIGCONT).unwrap();
    (0..3).for_each(|_| systemd.hears(WELL));
    assert_eq!(daemon.network(), network);
}

/// systemd's watchdog ends it then, which ends both, and starts it again.
#[test]
fn a_stopped_privileged_process_is_silent_and_protects_after_a_restart() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let mut daemon = Daemon::stopped(&world.gateway, &Ledger::config(&authority));
    daemon.settle();
    let systemd = Ears::watching(&mut daemon);
    daemon.begin();
    systemd.hears(WELL);
    let granted = ledger.knock();
    granted.must_be_granted();
    process::stop(daemon.parent());
    systemd.forget();
    assert_eq!(systemd.until(Limit::new(SILENCE)), [""; 0]);
    daemon.crash();
    daemon.begin();
    systemd.hears("READY=1");
    systemd.hears(WELL);
    assert!(world.gateway.doors().iter().any(|door| door.knock == granted.id()));
    ledger.must_hold(&daemon);
}
