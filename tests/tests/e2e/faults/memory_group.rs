//! The server lives in a control group with little memory, as under systemd's `MemoryMax=`, while a
//! flood comes in.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Config, Daemon, Echo, Ledger, MemoryGroup, World};

use super::memory::flood;

/// What a flood may take, in bytes: some 0.8 MiB were seen.
const ROOM: u64 = 4 << 20;

/// Not even for knocks.
const LITTLE: u64 = 64 << 10;

/// More than a second network process needs beside the first.
const PLENTY: u64 = 64 << 20;

/// In a group without a limit yet.
fn started<'w>(world: &'w World, group: &MemoryGroup, config: &Config, log: &str) -> Daemon<'w> {
    let mut daemon = Daemon::stopped(&world.gateway, config);
    group.hold(&mut daemon);
    daemon.export("SKNOCK_LOG", log);
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    daemon
}

#[test]
fn with_a_little_more_than_it_needs_when_idle_nothing_is_killed_in_a_flood() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let group = MemoryGroup::new("flood");
    // As many as come: the kernel's own limit is not what is tried here.
    let config = Ledger::config(&authority).set("knocksPerSource", "0");
    // Strangers' datagrams are told at a level that is off, unless for tests.
    let daemon = started(&world, &group, &config, "info");
    let (parent, network) = (daemon.parent(), daemon.network());
    group.limit(group.used() + ROOM);
    thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&world));
        while !flooding.is_finished() {
            ledger.knock();
            thread::sleep(Duration::from_millis(50));
        }
    });
    ledger.must_be_protected();
    ledger.knock().must_be_granted();
    ledger.read(&daemon);
    assert_eq!((daemon.parent(), daemon.network(), group.killed()), (parent, network, 0));
    println!("{} KiB used", group.used() >> 10);
}

/// A reload needs a second network process for a moment, and there is no room for it.
#[test]
fn with_too_little_the_kernel_kills_under_load_and_the_server_is_back() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 5);
    let group = MemoryGroup::new("killed");
    let mut daemon = started(&world, &group, &Ledger::config(&authority), "info,audit=trace");
    for _ in 0..5 {
        group.reclaim();
        group.limit(group.used() + LITTLE);
        let before = group.killed();
        daemon.signal(Signal::SIGHUP);
        until("the kernel has killed", || {
            ledger.knock();
            group.killed() > before
        });
        group.limit(group.used() + PLENTY);
        // Whichever process was killed, and wherever the first reload has got to: reloads are done one after the
        // other, and none may be left that would need room in the next round.
        until("a reload succeeds", || {
            if daemon.has_ended() {
                daemon.wait_for_end();
                ledger.read_after_death(&daemon);
                ledger.must_be_protected();
                daemon.begin();
            }
            daemon.tell("reload").code == Some(0)
        });
        ledger.must_hold(&daemon);
    }
    daemon.reload();
    ledger.close(&daemon);
    println!("{} killed", group.killed());
}
