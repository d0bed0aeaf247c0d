//! The disk under `stateDir` is full, read-only, or gone.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;

use sknock_tests::{Authority, Config, Daemon, Echo, Ledger, Mounts, World};

/// Room for the files of 1,000 knocks, and a little.
const SMALL: u64 = 512 * 1024;

/// A server that remembers 1,000 knocks.
fn config(authority: &Authority) -> Config {
    Ledger::config(authority).set("replayCapacity", "1000")
}

/// A server whose `stateDir` is a disk of its own.
fn on_a_disk<'w>(world: &'w World, authority: &Authority) -> Daemon<'w> {
    let mut daemon = Daemon::stopped(&world.gateway, &config(authority));
    let mounts = Mounts::new();
    mounts.disk(&daemon.file("state"), SMALL);
    daemon.mount(mounts);
    daemon.settle();
    daemon
}

/// Writes to the disk until nothing more fits; the file that does it.
fn fill(daemon: &Daemon<'_>) -> PathBuf {
    let path = daemon.file("state").join("crl.der");
    daemon.mounts().inside(|| {
        let mut file = File::create(&path).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    });
    path
}

/// On a full disk everything that has been there before is as usual: knocks, also when their stamps are
/// minutes later; and any number of starts, in order or after a crash.
#[track_caller]
fn nothing_takes_room(mut daemon: Daemon<'_>, ledger: &Ledger<'_>) {
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
    fill(&daemon);
    for minutes in 0..9 {
        // The horizon is put ahead with the first of them.
        ledger.knock_ahead(Duration::from_secs(60 * minutes + 30)).must_be_granted();
    }
    ledger.must_hold(&daemon);
    for _ in 0..2 {
        daemon.crash();
        ledger.read_after_death(&daemon);
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        ledger.must_hold(&daemon);
        daemon.stop();
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        ledger.must_hold(&daemon);
        daemon.reload();
        ledger.must_hold(&daemon);
    }
    ledger.repeat(&daemon, usize::MAX);
}

#[test]
fn a_full_disk_changes_nothing_for_a_server_that_has_started_on_it_before() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    nothing_takes_room(on_a_disk(&world, &authority), &ledger);
}

/// A file system that keeps blocks on a disk, unlike that in memory.
#[test]
fn a_full_ext4_changes_nothing_for_a_server_that_has_started_on_it_before() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let mut daemon = Daemon::stopped(&world.gateway, &config(&authority));
    let mounts = Mounts::new();
    mounts.ext4(&daemon.file("state"), &daemon.file("image"), 8 << 20);
    daemon.mount(mounts);
    daemon.settle();
    nothing_takes_room(daemon, &ledger);
}

/// Its files are longer than what is left: it goes on with those it has, and says so.
#[test]
fn a_larger_capacity_on_a_full_disk_is_logged_and_the_start_succeeds() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let mut daemon = on_a_disk(&world, &authority);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
    daemon.stop();
    daemon.configure(&config(&authority).set("replayCapacity", "100000"));
    daemon.begin();
    daemon.wait_for("no space for");
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
}

#[test]
fn on_a_full_disk_a_first_start_fails_and_the_firewall_stays_as_it_was() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &config(&authority));
    let (mounts, state) = (Mounts::new(), daemon.file("state"));
    mounts.disk(&state, SMALL);
    mounts.inside(|| chown(&state, Some(65534), Some(65534))).unwrap();
    daemon.mount(mounts);
    let ballast = fill(&daemon);
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("have free space"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);

    daemon.mounts().inside(|| fs::remove_file(&ballast)).unwrap();
    daemon.begin();
    daemon.wait_for("protecting");
}

#[test]
fn with_a_read_only_disk_the_first_start_fails_and_the_firewall_stays_as_it_was() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = on_a_disk(&world, &authority);
    // Its owner may not be changed any more, either.
    let state = daemon.file("state");
    daemon.mounts().inside(|| chown(&state, Some(65534), Some(65534))).unwrap();
    daemon.mounts().write_protect(&state);
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("Read-only file system"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
}

/// The open journal still works; the folder is gone. What was used stays used as long as the server
/// runs, and after that nothing is known: a window passes before anything is admitted.
#[test]
fn a_removed_disk_admits_no_knock_twice() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let mut daemon = on_a_disk(&world, &authority);
    // What was used is still of the right time at the next start, and that does not wait for too long.
    daemon.configure(&config(&authority).set("TIMESTAMP_THRESHOLD_IN_SECONDS", "20"));
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
    daemon.mounts().pull(&daemon.file("state"));
    for _ in 0..20 {
        ledger.knock();
    }
    ledger.repeat(&daemon, usize::MAX);
    ledger.must_be_protected();

    daemon.crash();
    ledger.read_after_death(&daemon);
    daemon.begin();
    daemon.wait_for("first start with this stateDir");
    ledger.send_again();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.send_again();
    ledger.knock().must_be_granted();
    ledger.read(&daemon);
    ledger.must_be_protected();
}
