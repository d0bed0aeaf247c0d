//! The replay journal is damaged while nobody runs, and the machine loses its power.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
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

fn journal(daemon: &Daemon<'_>) -> std::path::PathBuf {
    daemon.file("state").join("journal")
}

fn cut(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(bytes)).unwrap();
}

#[test]
fn a_torn_last_record_is_dropped_and_all_others_count() {
    let torn = |daemon: &Daemon<'_>| {
        let mut file = OpenOptions::new().append(true).open(journal(daemon)).unwrap();
        file.write_all(&[0x55; 20]).unwrap();
    };
    outlives(|_| (), torn, "");
}

#[test]
fn an_emptied_journal_is_no_journal() {
    let emptied = |daemon: &Daemon<'_>| cut(&journal(daemon), u64::MAX);
    outlives(|_| (), emptied, "the replay journal is damaged");
}

#[test]
fn a_journal_that_is_gone_is_missed() {
    let gone = |daemon: &Daemon<'_>| fs::remove_file(journal(daemon)).unwrap();
    outlives(|_| (), gone, "the replay journal is gone");
}

/// The machine comes up again, under another boot id, without what was not synced: the last records.
#[test]
fn after_a_power_loss_nothing_counts_that_may_be_forgotten() {
    let boot = Path::new("/proc/sys/kernel/random/boot_id");
    let mount = |daemon: &mut Daemon<'_>| daemon.mount(Mounts::new());
    let power_loss = |daemon: &Daemon<'_>| {
        cut(&journal(daemon), 5 * 64 + 7);
        let another = daemon.file("boot_id");
        fs::write(&another, "11111111-2222-3333-4444-555555555555\n").unwrap();
        daemon.mounts().replace(boot, &another);
    };
    outlives(mount, power_loss, "the machine went down");
}
