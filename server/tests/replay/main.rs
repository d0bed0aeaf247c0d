//! The replay stores from outside: clock steps, crashes, damage, many threads.

mod damage;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sknock_protocol::{Encapsulation, KnockId, Timestamp};
use sknock_server::knock::replay::{
    BootId, History, Journal, JournalError, Memory, OneTimeKey, Recorded, RecoveryReport,
    ReplayEntry, ReplayStore,
};
use tempfile::TempDir;

const WINDOW: Duration = Duration::from_secs(30);
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const RECORD: usize = 64;

fn boot(number: u8) -> BootId {
    format!("{number:032x}").parse().unwrap()
}

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

/// The `number`th knock, stamped `stamp`.
fn knock(number: u64, stamp: Timestamp) -> ReplayEntry {
    let mut id = [0; 32];
    // As in a hash, the first byte differs between knocks.
    id[..8].copy_from_slice(&number.to_le_bytes());
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    ReplayEntry { stamp, id: KnockId(id), key: OneTimeKey(key) }
}

fn encapsulation(trace: &ReplayEntry) -> Encapsulation {
    let mut point = [4; 65];
    point[1..17].copy_from_slice(&trace.key.0);
    point
}

fn open(dir: &Path, boot_number: u8, now: Timestamp) -> (Journal, RecoveryReport) {
    Journal::open(dir, &boot(boot_number), now, WINDOW, 1000).unwrap()
}

/// A folder that has seen its first start long before `NOW`, and nothing since.
fn settled() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path(), 1, NOW.before(Duration::from_secs(3600)));
    journal.close().unwrap();
    dir
}

#[test]
fn a_knock_is_admitted_once() {
    let dir = settled();
    let (journal, opened) = open(dir.path(), 1, NOW);
    assert_eq!(opened.history, History::Complete);
    let (first, second) = (knock(1, NOW), knock(2, NOW));
    assert!(!journal.has_admitted(&encapsulation(&first)));
    assert_eq!(journal.record(&first, NOW), Recorded::New);
    assert_eq!(journal.record(&first, NOW), Recorded::Replayed);
    assert!(journal.has_admitted(&encapsulation(&first)));
    assert_eq!(journal.record(&second, NOW), Recorded::New);
}

#[test]
fn of_many_threads_one_is_admitted() {
    let dir = settled();
    let (journal, _) = open(dir.path(), 1, NOW);
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let once = |number| journal.record(&knock(number, NOW), NOW) == Recorded::New;
                scope.spawn(move || (0..100).filter(|&number| once(number)).count())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 100);
    drop(journal);
    assert_eq!(records(dir.path()), 101);
}

#[test]
fn a_knock_is_remembered_across_stop_crash_and_power_loss() {
    // (closed in order, boot of the next start, admits from)
    let horizon = later(60).after(Duration::from_millis(1));
    for (close, next, expected) in [
        (true, 1, None),
        (true, 2, None),
        (false, 1, None),
        (false, 2, Some((horizon, History::Unsynced))),
    ] {
        let dir = settled();
        let (journal, _) = open(dir.path(), 1, NOW);
        let used = knock(1, NOW);
        assert_eq!(journal.record(&used, NOW), Recorded::New);
        if close {
            journal.close().unwrap();
        } else {
            drop(journal);
        }

        let (journal, opened) = open(dir.path(), next, later(1));
        let case = format!("closed {close}, boot {next}");
        assert_ne!(journal.record(&used, later(1)), Recorded::New, "{case}");
        let fresh = match expected {
            None => {
                assert_eq!(opened.history, History::Complete, "{case}");
                assert!(journal.has_admitted(&encapsulation(&used)), "{case}");
                later(1)
            }
            Some((from, history)) => {
                assert_eq!(opened, RecoveryReport { admits_from: from, history }, "{case}");
                let early = knock(2, from.before(Duration::from_millis(1)));
                assert_eq!(journal.record(&early, later(40)), Recorded::TooOld, "{case}");
                from
            }
        };
        assert_eq!(journal.record(&knock(3, fresh), fresh), Recorded::New, "{case}");
    }
}

#[test]
fn two_crashes_in_another_boot_are_two_crashes_in_one_boot() {
    let dir = settled();
    let (journal, _) = open(dir.path(), 2, NOW);
    assert_eq!(journal.record(&knock(1, NOW), NOW), Recorded::New);
    drop(journal);
    let (journal, opened) = open(dir.path(), 2, NOW);
    assert_eq!(opened.history, History::Complete);
    assert_eq!(journal.record(&knock(1, NOW), NOW), Recorded::Replayed);
}

#[test]
fn a_first_start_refuses_one_window() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, opened) = open(dir.path(), 1, NOW);
    assert_eq!(opened.history, History::None);
    assert_eq!(opened.admits_from, later(30).after(Duration::from_millis(1)));
    assert_eq!(journal.record(&knock(1, later(30)), NOW), Recorded::TooOld);
    assert_eq!(journal.record(&knock(2, later(31)), later(1)), Recorded::New);
    drop(journal);
    // And so does the second, for the same knocks only.
    let (journal, second) = open(dir.path(), 1, later(2));
    assert_eq!(second.admits_from, opened.admits_from);
    assert_eq!(journal.record(&knock(2, later(31)), later(2)), Recorded::Replayed);
}

/// The file that counts, as its head has the greater generation.
fn current(dir: &Path) -> PathBuf {
    let [first, second] = ["journal.0", "journal.1"].map(|name| dir.join(name));
    let generation = |path: &Path| fs::read(path).unwrap()[40..48].to_vec();
    if generation(&first) > generation(&second) { first } else { second }
}

/// How many records it has before the zeros.
fn records(dir: &Path) -> usize {
    let bytes = fs::read(current(dir)).unwrap();
    bytes.chunks(RECORD).take_while(|record| record.iter().any(|&byte| byte != 0)).count()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The sector that was being written when the power failed.
#[test]
fn a_damaged_horizon_slot_admits_no_replay_and_locks_no_client_out() {
    for slot in [0, 1] {
        let dir = settled();
        let (journal, _) = open(dir.path(), 1, NOW);
        let used = knock(1, NOW);
        assert_eq!(journal.record(&used, NOW), Recorded::New);
        drop(journal);
        flip(&dir.path().join("horizon"), slot * 4096 + 10);
        let (journal, opened) = open(dir.path(), 2, NOW);
        assert_ne!(journal.record(&used, NOW), Recorded::New, "slot {slot}");
        assert!(opened.admits_from <= later(61), "slot {slot}: {opened}");
        let next = knock(2, later(62));
        assert_eq!(journal.record(&next, later(62)), Recorded::New, "slot {slot}");
        drop(journal);
        let (journal, _) = open(dir.path(), 3, later(62));
        assert_ne!(journal.record(&next, later(62)), Recorded::New, "slot {slot}");
    }
}

#[test]
fn with_a_greater_capacity_the_files_get_longer_and_with_a_smaller_one_nothing_is_forgotten() {
    let dir = settled();
    let lengths = || JOURNALS.map(|name| fs::metadata(dir.path().join(name)).unwrap().len());
    let with = |capacity| Journal::open(dir.path(), &boot(1), NOW, WINDOW, capacity).unwrap().0;
    let small = lengths();
    let journal = with(10_000);
    let large = lengths();
    assert!(large[0] >= 10_000 * 64 && large[0] > small[0] && large[0] == large[1]);
    let used: Vec<ReplayEntry> = (0..5000).map(|number| knock(number, NOW)).collect();
    assert!(used.iter().all(|trace| journal.record(trace, NOW) == Recorded::New));
    drop(journal);
    let journal = with(1000);
    assert_eq!(lengths(), large);
    assert!(used.iter().all(|trace| journal.record(trace, NOW) == Recorded::Replayed));
}

const JOURNALS: [&str; 2] = ["journal.0", "journal.1"];

#[test]
fn without_journal_and_horizon_one_window_is_refused() {
    let dir = settled();
    let (journal, _) = open(dir.path(), 1, NOW);
    assert_eq!(journal.record(&knock(1, later(30)), NOW), Recorded::New);
    drop(journal);
    fs::remove_file(current(dir.path())).unwrap();
    fs::remove_file(dir.path().join("horizon")).unwrap();
    let (journal, _) = open(dir.path(), 1, NOW);
    assert_eq!(journal.record(&knock(1, later(30)), NOW), Recorded::TooOld);
    assert_eq!(journal.record(&knock(2, later(31)), later(1)), Recorded::New);
}

/// A lost horizon is put back before it is needed: also ahead of what only the journal knew.
#[test]
fn a_lost_horizon_is_restored() {
    let dir = settled();
    let (journal, _) = open(dir.path(), 1, NOW);
    let ahead = knock(1, later(500));
    assert_eq!(journal.record(&ahead, later(500)), Recorded::New);
    drop(journal);
    fs::remove_file(dir.path().join("horizon")).unwrap();
    drop(open(dir.path(), 1, NOW));
    fs::remove_file(current(dir.path())).unwrap();
    let (journal, _) = open(dir.path(), 2, NOW);
    assert_eq!(journal.record(&ahead, later(500)), Recorded::TooOld);
}

#[test]
fn a_full_memory_refuses_and_recovers() {
    let memory = Memory::new(WINDOW, 10);
    for number in 0..10 {
        assert_eq!(memory.record(&knock(number, NOW), NOW), Recorded::New);
    }
    assert_eq!(memory.record(&knock(10, NOW), NOW), Recorded::Full);
    assert_eq!(memory.record(&knock(9, NOW), NOW), Recorded::Replayed);
    assert_eq!(memory.record(&knock(10, later(31)), later(31)), Recorded::New);
    assert_eq!(memory.record(&knock(9, NOW), NOW), Recorded::TooOld);
    assert!(!memory.has_admitted(&encapsulation(&knock(9, NOW))));
}

#[test]
fn one_folder_serves_one_server() {
    let dir = settled();
    let (journal, _) = open(dir.path(), 1, NOW);
    let second = Journal::open(dir.path(), &boot(1), NOW, WINDOW, 1000);
    let error = second.unwrap_err();
    assert!(matches!(error, JournalError::Held { .. }));
    assert!(error.to_string().contains("another stateDir"));
    drop(journal);
    open(dir.path(), 1, NOW);
}

#[test]
fn a_missing_folder_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none");
    let error = Journal::open(&missing, &boot(1), NOW, WINDOW, 1000).unwrap_err();
    assert!(error.to_string().contains("stateDir must exist"), "{error}");
}

#[test]
fn only_the_owner_may_read_the_files() {
    let dir = settled();
    let (journal, _) = open(dir.path(), 1, NOW);
    assert_eq!(journal.record(&knock(1, NOW), NOW), Recorded::New);
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

/// Crosses several compactions, then a crash, then a clock that steps back.
#[test]
fn the_journal_keeps_its_length_and_no_compaction_forgets() {
    let dir = settled();
    // Room for all, so that nothing is refused for want of it.
    let open = |now| Journal::open(dir.path(), &boot(1), now, WINDOW, 100_000).unwrap();
    let (journal, _) = open(NOW);
    let lengths = || JOURNALS.map(|name| fs::metadata(dir.path().join(name)).unwrap().len());
    let timestamp = |number: u64| NOW.after(Duration::from_millis(number * 100));
    let (before, mut most) = (lengths(), 0);
    for number in 0..60_000 {
        let now = timestamp(number);
        assert_eq!(journal.record(&knock(number, now), now), Recorded::New, "{number}");
        if number % 1000 == 0 {
            most = most.max(records(dir.path()));
        }
    }
    assert_eq!(lengths(), before);
    assert!(most < 32 * 1024, "{most} records");
    drop(journal);
    let (journal, opened) = open(NOW);
    assert_eq!(opened.history, History::Complete);
    for number in 0..60_000 {
        let again = journal.record(&knock(number, timestamp(number)), NOW);
        assert!(matches!(again, Recorded::Replayed | Recorded::TooOld), "{number}: {again:?}");
    }
    assert_eq!(journal.record(&knock(60_000, timestamp(60_000)), NOW), Recorded::New);
}

/// As many as there is room for, all the time: the files are written in turn, over and over.
#[test]
fn a_memory_that_stays_full_stays_within_its_files() {
    let dir = settled();
    let (mut journal, _) = open(dir.path(), 1, NOW);
    let timestamp = |number: u64| NOW.after(Duration::from_millis(number * 40));
    for number in 0..10_000 {
        let now = timestamp(number);
        let used = journal.record(&knock(number, now), now);
        // Within a window there are 750 and the spare ones.
        assert_eq!(used, Recorded::New, "{number}");
        if number % 777 == 0 {
            drop(journal);
            let (again, opened) = open(dir.path(), 1, now);
            assert_eq!(opened.history, History::Complete, "{number}");
            journal = again;
        }
    }
    for number in 0..10_000 {
        let again = journal.record(&knock(number, timestamp(number)), timestamp(9_999));
        assert_ne!(again, Recorded::New, "{number}");
    }
}
