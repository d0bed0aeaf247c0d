//! The result of a recovery after each kind of end.

use sknock_protocol::KnockId;

use super::*;
use crate::knock::replay::OneTimeKey;
use crate::knock::replay::record::{JournalRecord, LENGTH};

const WINDOW: Duration = Duration::from_secs(30);
const HERE: BootId = BootId([1; 16]);
const ELSEWHERE: BootId = BootId([2; 16]);

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn trace(stamp: u64) -> ReplayEntry {
    ReplayEntry { stamp: at(stamp), id: KnockId([5; 32]), key: OneTimeKey([6; 16]) }
}

fn head(boot: BootId, floor: u64) -> JournalRecord {
    JournalRecord::Head(Head { boot, floor: at(floor), generation: 2 })
}

fn half(bytes: &[u8]) -> JournalHalf {
    let mut half = JournalHalf::default();
    bytes.as_chunks().0.iter().for_each(|record| half.feed(record));
    half
}

/// The file of the previous generation.
fn former() -> JournalHalf {
    half(&JournalRecord::Head(Head { boot: ELSEWHERE, floor: at(1), generation: 1 }).encode())
}

fn file(records: &[JournalRecord]) -> Vec<u8> {
    let written: Vec<u8> = records.iter().flat_map(JournalRecord::encode).collect();
    [written, vec![0; 3 * LENGTH]].concat()
}

fn found(bytes: &[u8]) -> JournalState {
    read([Some(former()), Some(half(bytes))])
}

fn open(bytes: &[u8], horizon: Option<u64>) -> (Timestamp, usize, History) {
    let start = start(found(bytes), horizon.map(at), HERE, at(110), WINDOW, 0);
    (start.floor, start.traces.len(), start.history)
}

#[test]
fn a_journal_of_this_boot_or_a_closed_one_is_complete() {
    let used = JournalRecord::Used(trace(100));
    let same = file(&[head(HERE, 7), used]);
    assert_eq!(open(&same, Some(160)), (at(7), 1, History::Complete));
    let closed = file(&[head(ELSEWHERE, 7), used, JournalRecord::Done(2)]);
    assert_eq!(open(&closed, None), (at(7), 1, History::Complete));
}

#[test]
fn after_another_state_dir_knocks_it_may_have_admitted_are_refused() {
    let used = JournalRecord::Used(trace(100));
    let closed = file(&[head(HERE, 7), used, JournalRecord::Done(2)]);
    let begin = |bytes, horizon| start(found(bytes), horizon, HERE, at(110), WINDOW, 0);
    let after = begin(&closed, None).superseded(at(140));
    assert_eq!((after.floor, after.history), (at(140), History::Superseded));
    assert_eq!(after.traces, [trace(100)], "what is known stays known");
    // A later floor is kept, and the reason that determines it is reported.
    assert_eq!(begin(&closed, None).superseded(at(6)).floor, at(7));
    let torn = file(&[head(ELSEWHERE, 7), used]);
    let after = begin(&torn, Some(at(160))).superseded(at(140));
    assert_eq!((after.floor, after.history), (at(160), History::Unsynced));
    let after = begin(&torn, Some(at(130))).superseded(at(140));
    assert_eq!((after.floor, after.history), (at(140), History::Superseded));
}

#[test]
fn after_another_boot_the_horizon_is_the_floor() {
    let journal = file(&[head(ELSEWHERE, 7), JournalRecord::Used(trace(100))]);
    assert_eq!(open(&journal, Some(160)), (at(160), 0, History::Unsynced));
    assert_eq!(open(&journal, None), (at(140), 0, History::Unsynced));
}

#[test]
fn the_floor_is_never_below_anything_read() {
    let ahead = file(&[head(ELSEWHERE, 7), JournalRecord::Used(trace(900))]);
    assert_eq!(open(&ahead, Some(160)).0, at(900));
    let raised = file(&[head(ELSEWHERE, 901), JournalRecord::Used(trace(900))]);
    assert_eq!(open(&raised, None).0, at(901));
    let mut damaged =
        file(&[head(HERE, 7), JournalRecord::Done(2), JournalRecord::Used(trace(900))]);
    assert_eq!(open(&damaged, None), (at(900), 0, History::Damaged));
    damaged[0] ^= 1;
    assert_eq!(open(&damaged, Some(901)), (at(901), 0, History::Damaged));
}

#[test]
fn without_a_journal_the_horizon_or_one_window_is_the_floor() {
    let begin = |horizon| start(JournalState::Missing, horizon, HERE, at(110), WINDOW, 0);
    assert_eq!(begin(Some(at(160))).floor, at(160));
    assert_eq!(begin(Some(at(160))).history, History::Missing);
    assert_eq!(begin(None).floor, at(140));
    assert_eq!(begin(None).history, History::None);
}

#[test]
fn any_altered_record_is_damage() {
    let journal =
        file(&[head(HERE, 7), JournalRecord::Used(trace(100)), JournalRecord::Used(trace(101))]);
    assert_eq!(open(&journal, Some(160)), (at(7), 2, History::Complete));
    for bit in 0..3 * LENGTH * 8 {
        let mut rotten = journal.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&rotten, Some(160)), (at(160), 0, History::Damaged), "bit {bit}");
    }
    let mut hole = journal;
    hole[LENGTH..2 * LENGTH].fill(0);
    assert_eq!(open(&hole, Some(160)), (at(160), 0, History::Damaged));
}

#[test]
fn a_closing_mark_is_valid_only_at_the_end_of_its_own_generation() {
    let journal = [head(ELSEWHERE, 7), JournalRecord::Done(2)];
    assert_eq!(open(&file(&journal), Some(160)).2, History::Complete);
    for after in [JournalRecord::Done(2), JournalRecord::Used(trace(9)), head(HERE, 7)] {
        let more = [&file(&journal)[..2 * LENGTH], &file(&[after])].concat();
        assert_eq!(open(&more, Some(160)), (at(160), 0, History::Damaged));
    }
    let former = file(&[head(ELSEWHERE, 7), JournalRecord::Done(1)]);
    assert_eq!(open(&former, Some(160)).2, History::Damaged);
}

#[test]
fn of_two_journal_files_the_later_is_used_and_they_must_match() {
    let of = |generation| {
        let head = JournalRecord::Head(Head { boot: HERE, floor: at(generation), generation });
        Some(half(&file(&[head])))
    };
    let place = |halves| match read(halves) {
        JournalState::Whole { place, .. } => Ok(place),
        found => Err(found),
    };
    assert_eq!([place([of(8), of(9)]), place([of(10), of(9)])], [Ok(1), Ok(0)]);
    let damaged = |newest| Err(JournalState::Damaged { newest: at(newest) });
    for (halves, newest) in [
        ([of(9), None], 9),
        ([None, of(9)], 9),
        ([of(1), None], 1),
        ([of(9), Some(JournalHalf::default())], 9),
        ([of(1), Some(JournalHalf::default())], 1),
        ([None, Some(half(&[&[0; LENGTH][..], &file(&[head(HERE, 9)])].concat()))], 9),
        ([Some(JournalHalf::default()), of(1)], 1),
        ([of(9), of(9)], 9),
        ([of(7), of(9)], 9),
        ([Some(half(&[7; LENGTH])), of(9)], 9),
        ([Some(half(&JournalRecord::Used(trace(12)).encode())), of(9)], 12),
    ] {
        assert_eq!(place(halves), damaged(newest));
    }
    for missing in
        [[None, None], [Some(JournalHalf::default()), None], [None, Some(JournalHalf::default())]]
    {
        assert_eq!(place(missing), Err(JournalState::Missing));
    }
}

#[test]
fn what_is_left_in_the_former_file_does_not_matter_but_for_its_head() {
    let mut former = former();
    former.feed(&[9; LENGTH]);
    let journal = half(&file(&[head(HERE, 7)]));
    assert!(matches!(read([Some(former), Some(journal)]), JournalState::Whole { place: 1, .. }));
}

#[test]
fn old_knocks_are_forgotten_while_reading_and_raise_the_floor() {
    let journal = file(&[
        head(HERE, 7),
        JournalRecord::Used(trace(79)),
        JournalRecord::Used(trace(80)),
        JournalRecord::Used(trace(200)),
    ]);
    assert_eq!(open(&journal, None), (at(79), 2, History::Complete));
    let spare = |spare| {
        let start = start(found(&journal), None, HERE, at(110), WINDOW, spare);
        (start.floor, start.traces.len())
    };
    assert_eq!([spare(2), spare(3), spare(9)], [(at(79), 2), (at(7), 3), (at(7), 3)]);
}

#[test]
fn a_horizon_in_doubt_is_a_window_ahead_at_least() {
    let content = |horizon: Option<u64>, doubtful| SlotContent {
        latest: horizon.map(|at| (at * 1000).to_be_bytes().to_vec()),
        doubtful,
    };
    let read = |content| horizon(&content, at(110), WINDOW);
    assert_eq!(read(content(Some(160), false)), Some(at(160)));
    assert_eq!(read(content(Some(160), true)), Some(at(160)));
    assert_eq!(read(content(Some(120), true)), Some(at(140)));
    assert_eq!(read(content(None, true)), None);
    assert_eq!(read(SlotContent { latest: Some(vec![1]), doubtful: false }), None);
}
