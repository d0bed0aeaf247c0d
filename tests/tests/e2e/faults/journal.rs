//! The replay journal is damaged while nobody runs, and the machine loses its power.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sknock_tests::{Authority, Daemon, Echo, Ledger, Mounts, World};

/// Knocks of this age put the horizon, a minute ahead of them, a few seconds ahead of now: so long
/// nobody gets in when the journal is lost.
const AGE: Duration = Duration::from_secs(55);

/// Knocks, kills both processes, damages something, and starts again. What was used stays used, and
/// after a wait, told as `history` if there is one, knocks are accepted.
#[track_caller]
fn outlives(
    prepare: impl FnOnce(&mut Daemon<'_>),
    damage: impl FnOnce(&Daemon<'_>),
    history: &str,
) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60).of_age(AGE);
    let mut daemon = Daemon::stopped(&world.gateway, &Ledger::config(&authority));
    prepare(&mut daemon);
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    for _ in 0..10 {
        ledger.knock().must_be_granted();
    }
    daemon.crash();
    ledger.read_after_death(&daemon);
    damage(&daemon);
    daemon.begin();
    daemon.wait_for("protecting");
    if history.is_empty() {
        daemon.wait_for(Daemon::ACCEPTING);
    } else {
        daemon.wait_for(history);
    }
    ledger.must_be_protected();
    ledger.repeat(&daemon, usize::MAX);
    daemon.wait_for(Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
}

/// The file that counts: its head has the greater generation.
fn journal(daemon: &Daemon<'_>) -> PathBuf {
    let [first, second] = ["journal.0", "journal.1"].map(|name| daemon.file("state").join(name));
    let generation = |path: &Path| fs::read(path).unwrap()[40..48].to_vec();
    if generation(&first) > generation(&second) { first } else { second }
}

/// The place behind the last record.
fn end(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    let records = bytes.chunks(64).take_while(|one| *one != [0; 64]).count();
    records as u64 * 64
}

fn write(path: &Path, bytes: &[u8], at: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

#[test]
fn without_damage_knocks_are_accepted_at_once() {
    outlives(|_| (), |_| (), "");
}

/// No process that ends leaves a part of a record: it is from the disk, or from somebody else.
#[test]
fn garbage_after_the_last_record_is_damage() {
    let torn = |daemon: &Daemon<'_>| {
        let path = journal(daemon);
        write(&path, &[0x55; 20], end(&path));
    };
    outlives(|_| (), torn, "the replay journal is damaged");
}

#[test]
fn an_emptied_journal_file_is_damage() {
    let emptied = |daemon: &Daemon<'_>| fs::write(journal(daemon), "").unwrap();
    outlives(|_| (), emptied, "the replay journal is damaged");
}

#[test]
fn a_missing_journal_file_is_damage() {
    let gone = |daemon: &Daemon<'_>| fs::remove_file(journal(daemon)).unwrap();
    outlives(|_| (), gone, "the replay journal is damaged");
}

#[test]
fn a_missing_journal_is_detected() {
    let gone = |daemon: &Daemon<'_>| {
        for name in ["journal.0", "journal.1"] {
            fs::remove_file(daemon.file("state").join(name)).unwrap();
        }
    };
    outlives(|_| (), gone, "the replay journal is missing");
}

/// The machine comes up again, under another boot id, without what was not synced: the last records.
#[test]
fn after_a_power_loss_knocks_that_may_be_forgotten_are_refused() {
    let boot = Path::new("/proc/sys/kernel/random/boot_id");
    let mount = |daemon: &mut Daemon<'_>| daemon.mount(Mounts::new());
    let power_loss = |daemon: &Daemon<'_>| {
        let path = journal(daemon);
        write(&path, &[0; 5 * 64], end(&path) - 5 * 64);
        let another = daemon.file("boot_id");
        fs::write(&another, "11111111-2222-3333-4444-555555555555\n").unwrap();
        daemon.mounts().replace(boot, &another);
    };
    outlives(mount, power_loss, "the machine stopped without a shutdown");
}
