//! Files of ours that somebody, or a disk, has damaged: no knock counts again, and nobody waits for long.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use sknock_protocol::Timestamp;
use sknock_server::knock::replay::{
    History, Journal, JournalError, Recorded, RecoveryReport, ReplayStore,
};

use crate::{NOW, RECORD, WINDOW, boot, current, flip, knock, later, open, settled};

type Damage = fn(&Path);

/// What may become of a file of ours.
fn damages() -> [(&'static str, Damage); 13] {
    [
        ("gone", |path| fs::remove_file(path).unwrap()),
        ("empty", |path| fs::write(path, b"").unwrap()),
        ("a folder", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("a link", |path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/etc/shadow", path).unwrap();
        }),
        ("nobody may read it", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap();
            std::os::unix::fs::chown(path, Some(65534), None).unwrap();
        }),
        ("zeros", |path| {
            let length = fs::metadata(path).unwrap().len();
            fs::write(path, vec![0; usize::try_from(length).unwrap()]).unwrap();
        }),
        ("a bit of the head", |path| flip(path, 20)),
        ("a bit of the first record", |path| flip(path, RECORD + 20)),
        ("a bit of the last record", |path| flip(path, 3 * RECORD + 20)),
        ("a bit behind the last record", |path| flip(path, 4 * RECORD + 20)),
        ("a bit much further behind", |path| flip(path, 1000 * RECORD)),
        ("a hole", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[RECORD..2 * RECORD].fill(0);
            fs::write(path, bytes).unwrap();
        }),
        ("the end is missing", |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(2 * RECORD as u64).unwrap();
            flip(path, RECORD);
        }),
    ]
}

/// As each start does it: behind the walls nothing can be renamed any more.
fn start(dir: &Path, boot_number: u8, now: Timestamp) -> (Journal, RecoveryReport) {
    Journal::clear_the_way(dir).unwrap();
    open(dir, boot_number, now)
}

/// The file that counts is damaged, before a start in the same boot, and in the next.
#[test]
fn no_damage_admits_a_knock_again_or_locks_clients_out_for_good() {
    for (name, damage) in damages() {
        for next in [1, 2] {
            let dir = settled();
            let (journal, _) = start(dir.path(), 1, NOW);
            let used = [1, 2, 3].map(|number| knock(number, NOW));
            assert!(used.iter().all(|trace| journal.record(trace, NOW) == Recorded::New));
            drop(journal);
            damage(&current(dir.path()));
            let case = format!("{name}, boot {next}");
            let (journal, opened) = start(dir.path(), next, NOW);
            assert_eq!(opened.admits_from, later(60).after(Duration::from_millis(1)), "{case}");
            for trace in used {
                assert_eq!(journal.record(&trace, NOW), Recorded::TooOld, "{case}");
            }
            is_over(dir.path(), journal, next, &case);
        }
    }
}

/// The horizon is damaged, and in the second round the file that counts as well: then nothing is left that
/// knows how far stamps went, and what is refused is one window from now on.
#[test]
fn no_horizon_damage_admits_a_knock_again_or_locks_clients_out_for_good() {
    for (name, damage) in damages().into_iter().filter(|(name, _)| !name.starts_with("a bit")) {
        for both in [false, true] {
            let dir = settled();
            let (journal, _) = start(dir.path(), 1, NOW);
            let used = [1, 2, 3].map(|number| knock(number, NOW));
            assert!(used.iter().all(|trace| journal.record(trace, NOW) == Recorded::New));
            drop(journal);
            damage(&dir.path().join("horizon"));
            if both {
                damage(&current(dir.path()));
            }
            let case = format!("{name}, both {both}");
            let (journal, opened) = start(dir.path(), 1, NOW);
            assert!(opened.admits_from <= later(61), "{case}: {opened}");
            for trace in used {
                assert_ne!(journal.record(&trace, NOW), Recorded::New, "{case}");
            }
            is_over(dir.path(), journal, 1, &case);
        }
    }
}

/// After a minute and a second all is as if nothing had been.
fn is_over(dir: &Path, journal: Journal, boot_number: u8, case: &str) {
    assert_eq!(journal.record(&knock(4, later(61)), later(61)), Recorded::New, "{case}");
    drop(journal);
    let (journal, opened) = start(dir, boot_number, later(61));
    assert_eq!(opened.history, History::Complete, "{case}");
    assert_eq!(journal.record(&knock(4, later(61)), later(61)), Recorded::Replayed, "{case}");
}

/// Nothing is followed to elsewhere, even where a start would not have renamed it.
#[test]
fn what_is_no_file_is_not_opened() {
    for (name, damage) in
        damages().into_iter().filter(|(name, _)| ["a folder", "a link"].contains(name))
    {
        let dir = settled();
        damage(&current(dir.path()));
        let opened = Journal::open(dir.path(), &boot(1), NOW, WINDOW, 1000);
        assert!(matches!(opened, Err(JournalError::Unusable { .. })), "{name}");
    }
}
