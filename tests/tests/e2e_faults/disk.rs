//! The disk under `stateDir` is full, read-only, or gone.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use sknock_tests::{Authority, Daemon, Echo, Ledger, Mounts, World};

/// Room for a journal, a horizon and their drafts.
const SMALL: u64 = 64 * 1024;

/// A server whose `stateDir` is a disk of its own.
fn on_a_disk<'w>(world: &'w World, authority: &Authority) -> Daemon<'w> {
    let mut daemon = Daemon::stopped(&world.gateway, &Ledger::config(authority));
    let mounts = Mounts::new();
    mounts.disk(&daemon.file("state"), SMALL);
    daemon.mount(mounts);
    daemon.settle();
    daemon
}

/// Writes to the disk until nothing more fits; the file that does it.
fn fill(daemon: &Daemon<'_>) -> PathBuf {
    let path = daemon.file("state").join("journal.new");
    daemon.mounts().inside(|| {
        let mut file = File::create(&path).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    });
    path
}

#[test]
fn a_full_disk_admits_nobody_twice_and_a_free_one_admits_again() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let mut daemon = on_a_disk(&world, &authority);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
    let ballast = fill(&daemon);

    // What is left of the journal's last page takes a few more.
    let mark = daemon.mark();
    let refused = |line: &String| line.contains("reason=\"replay-journal-failed\"");
    let mut tries = 0;
    while !daemon.said_since(mark).iter().any(refused) {
        assert!(tries < 200, "a full disk takes everything");
        tries += 1;
        let sent = ledger.knock();
        daemon.wait_since(mark, &format!("knock=\"{}\"", sent.id()));
    }
    ledger.read(&daemon);
    ledger.must_be_protected();
    ledger.repeat(&daemon, usize::MAX);

    daemon.mounts().inside(|| fs::remove_file(&ballast)).unwrap();
    ledger.must_hold(&daemon);
    daemon.crash();
    ledger.read_after_death(&daemon);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
}

#[test]
fn with_a_full_disk_a_start_fails_and_protection_stays() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let mut daemon = on_a_disk(&world, &authority);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
    daemon.crash();
    ledger.read_after_death(&daemon);
    let ballast = fill(&daemon);
    daemon.mounts().inside(|| fs::rename(&ballast, ballast.with_file_name("crl.der"))).unwrap();
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("have room"), "{}", ended.said);
    ledger.must_be_protected();

    let ballast = ballast.with_file_name("crl.der");
    daemon.mounts().inside(|| fs::remove_file(&ballast)).unwrap();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
}

#[test]
fn with_a_read_only_disk_the_first_start_fails_and_the_firewall_stays_as_it_was() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = on_a_disk(&world, &authority);
    // Its owner may not be changed any more, either.
    let state = daemon.file("state");
    daemon.mounts().inside(|| std::os::unix::fs::chown(&state, Some(65534), Some(65534))).unwrap();
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
fn a_disk_that_is_pulled_out_lets_nobody_in_twice() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let mut daemon = on_a_disk(&world, &authority);
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
    daemon.configure(&Ledger::config(&authority).set("TIMESTAMP_THRESHOLD_IN_SECONDS", "5"));
    daemon.begin();
    daemon.wait_for("first start with this stateDir");
    ledger.send_again();
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.send_again();
    ledger.knock().must_be_granted();
    ledger.read(&daemon);
    ledger.must_be_protected();
}
