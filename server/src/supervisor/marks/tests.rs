//! Raising, storing and reading of marks.

use sknock_protocol::CrlMark;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_782_864_000);

fn report(issuer: u16, made: u64, number: u8) -> [u8; 256] {
    let mut digest = [0; 32];
    digest[..2].copy_from_slice(&issuer.to_be_bytes());
    mark_record::report(
        &digest,
        &CrlMark::new(Timestamp::from_secs(made), [number; CrlMark::NUMBER]),
    )
}

#[test]
fn a_mark_is_raised_and_never_lowered() {
    let mut keeper = Keeper::default();
    assert_eq!(keeper.take(&report(1, 100, 5), MarkLifetime::ForGood, NOW), Ok(true));
    let before = keeper.entries();
    for lower in [report(1, 100, 5), report(1, 100, 4), report(1, 99, 9), report(1, 0, 255)] {
        assert_eq!(keeper.take(&lower, MarkLifetime::ForGood, NOW), Ok(false));
        assert_eq!(keeper.entries(), before);
    }
    assert_eq!(keeper.take(&report(1, 101, 0), MarkLifetime::ForGood, NOW), Ok(true));
    assert_ne!(keeper.entries(), before);
}

#[test]
fn no_report_raises_a_mark_beyond_now_or_drops_one() {
    let mut keeper = Keeper::default();
    keeper.take(&report(0, 100, 5), MarkLifetime::ForGood, NOW).unwrap();
    let slack = NOW.as_secs() + FUTURE_SLACK.as_secs();
    assert_eq!(
        keeper.take(&report(0, slack + 1, 1), MarkLifetime::ForGood, NOW),
        Err(MarkRefusal::FromTheFuture)
    );
    assert_eq!(
        keeper.take(&report(0, u64::MAX, 1), MarkLifetime::ForGood, NOW),
        Err(MarkRefusal::FromTheFuture)
    );
    assert_eq!(keeper.take(&[128; 256], MarkLifetime::ForGood, NOW), Err(MarkRefusal::NoReport));
    for issuer in 1..256 {
        assert_eq!(keeper.take(&report(issuer, 1, 1), MarkLifetime::ForGood, NOW), Ok(true));
    }
    let before = keeper.entries();
    assert_eq!(
        keeper.take(&report(256, 1, 1), MarkLifetime::ForGood, NOW),
        Err(MarkRefusal::TooMany)
    );
    assert_eq!(keeper.entries(), before);
    assert_eq!(
        keeper.take(&report(0, 101, 5), MarkLifetime::ForGood, NOW),
        Ok(true),
        "a known one is still raised"
    );
}

#[test]
fn marks_raised_in_a_trial_are_kept_only_if_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let (state, instead) = (folder.path().join("state"), folder.path().join("net.marks"));
    let on_disk = || kept(&state, None);
    let mut keeper = Keeper::default();
    keeper.settle(&state, &instead, None);
    keeper.take(&report(1, 100, 5), MarkLifetime::ForGood, NOW).unwrap();
    keeper.save(BootInstant::from_millis(0));
    let (before, saved) = (keeper.entries(), on_disk());
    assert_eq!(saved.len(), 1);
    for (seconds, confirmed) in [(1, false), (2, true)] {
        assert_eq!(keeper.take(&report(1, 200, 5), MarkLifetime::Trial, NOW), Ok(true));
        assert_eq!(keeper.take(&report(1, 200, 5), MarkLifetime::Trial, NOW), Ok(false));
        assert_eq!(
            keeper.take(&report(1, 150, 5), MarkLifetime::ForGood, NOW),
            Ok(false),
            "older than those"
        );
        assert_ne!(keeper.entries(), before, "it counts in the trial");
        keeper.save(BootInstant::from_millis(seconds * 1000));
        assert_eq!(on_disk(), saved);
        if confirmed {
            keeper.confirm();
        } else {
            keeper.roll_back();
        }
        keeper.save(BootInstant::from_millis(seconds * 1000 + 500));
        assert_eq!(keeper.entries() != before, confirmed);
        assert_eq!(on_disk() != saved, confirmed);
    }
}

#[test]
fn what_is_learnt_from_elsewhere_lowers_nothing_and_keeps_room_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (state, instead) = (folder.path().join("state"), folder.path().join("net.marks"));
    let mut keeper = Keeper::default();
    keeper.settle(&state, &instead, None);
    keeper.take(&report(1, 100, 5), MarkLifetime::ForGood, NOW).unwrap();
    let mut other = Keeper::default();
    for issuer in 0..256 {
        other.take(&report(issuer, 50, 5), MarkLifetime::ForGood, NOW).unwrap();
    }
    keeper.learn(other.marks.clone());
    keeper.learn((0..=255).map(|byte| ([byte; 32], CrlMark::new(NOW, [1; 20]))).collect());
    keeper.save(BootInstant::from_millis(0));
    assert_eq!(kept(&state, None), keeper.marks, "all of it is written down");
    let (issuer, mark) = mark_record::reported(&report(1, 100, 5)).unwrap();
    assert_eq!((keeper.marks.len(), keeper.marks.get(&issuer)), (256, Some(&mark)));
}

#[test]
fn what_a_process_raises_after_its_trial_ends_with_it() {
    let mut keeper = Keeper::default();
    keeper.take(&report(1, 100, 5), MarkLifetime::ForGood, NOW).unwrap();
    let before = keeper.entries();
    assert_eq!(keeper.take(&report(1, 200, 5), MarkLifetime::Process, NOW), Ok(false));
    keeper.confirm();
    assert_eq!(keeper.entries(), before);
}

#[test]
fn the_next_start_finds_them_and_one_that_has_to_go_elsewhere_too() {
    let folder = tempfile::tempdir().unwrap();
    let (state, instead) = (folder.path().join("state"), folder.path().join("net.marks"));
    let mut first = Keeper::default();
    first.settle(&state, &instead, None);
    first.take(&report(1, 100, 5), MarkLifetime::ForGood, NOW).unwrap();
    first.save(BootInstant::default());
    let mut next = Keeper::default();
    next.settle(&state, &instead, None);
    assert_eq!(next.entries(), first.entries());
    // Without access to the folder, the other place is used.
    let blocked = folder.path().join("blocked");
    std::fs::write(folder.path().join("blocked-marks"), "").unwrap();
    let mut other = Keeper::default();
    other.settle(&blocked, &instead, None);
    other.take(&report(2, 100, 5), MarkLifetime::ForGood, NOW).unwrap();
    other.save(BootInstant::default());
    next.settle(&blocked, &instead, None);
    assert_eq!(next.entries().len(), 2, "both count");
}

#[test]
fn marks_that_follow_each_other_at_once_are_all_on_disk_before_they_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (state, instead) = (folder.path().join("state"), folder.path().join("instead"));
    let mut keeper = Keeper::default();
    keeper.settle(&state, &instead, None);
    for number in 1..=10 {
        keeper.take(&report(1, 100, number), MarkLifetime::ForGood, NOW).unwrap();
        keeper.save(BootInstant::from_millis(5000 + u64::from(number)));
        let mut after_kill_9 = Keeper::default();
        after_kill_9.settle(&state, &instead, None);
        assert_eq!(after_kill_9.entries(), keeper.entries(), "number {number}");
    }
}

#[test]
fn endless_reports_cause_two_writes_a_second() {
    let mut pace = WritePace::default();
    let permitted = |pace: &mut WritePace, from: u64, to: u64| {
        (from..to).filter(|&millis| pace.permit(BootInstant::from_millis(millis))).count()
    };
    assert_eq!(permitted(&mut pace, 10_000, 10_100), BURST as usize);
    assert_eq!(permitted(&mut pace, 10_100, 20_100), 20);
}
