//! What to believe of what was found on disk. Pure: bytes in, a start out.
//!
//! The journal is not synced while it grows, so it is complete only if nothing but a process ended
//! since: it was closed in order, or the machine is still in the same boot. In every other case
//! the horizon, which *was* synced before any later stamp was admitted, becomes the floor.

use std::fmt;
use std::time::Duration;

use sknock_protocol::Moment;

use super::record::{LENGTH, Record};
use super::{BootId, Trace};

/// How much of the past is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum History {
    /// All of it.
    Complete,
    /// The machine went down without warning; the last records may be missing.
    Unsynced,
    /// The journal has a record that nobody wrote so.
    Damaged,
    /// There is no journal any more.
    Missing,
    /// No trace of an earlier start: a fresh folder, or an emptied one.
    None,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "every admitted knock is remembered",
            Self::Unsynced => "the machine went down and the last admitted knocks may be lost",
            Self::Damaged => "the replay journal is damaged and admitted knocks may be lost",
            Self::Missing => "the replay journal is gone",
            Self::None => "first start with this stateDir",
        })
    }
}

/// The journal file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// It is not there.
    Missing,
    /// It cannot be read, or not all of it; `newest` is the largest stamp that can.
    Damaged { newest: Moment },
    /// Every record is as it was written.
    Whole { boot: BootId, floor: Moment, closed: bool, traces: Vec<Trace> },
}

/// With what to begin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Start {
    pub(super) floor: Moment,
    pub(super) traces: Vec<Trace>,
    pub(super) history: History,
}

/// Reads a journal file.
///
/// A last record of less than its length is the trace of a write that failed; its grant never
/// happened, and it is dropped. Any other record that is not as it was written, wherever it is,
/// comes from the disk and not from us: then nothing is certain about its neighbours either.
pub(super) fn read(bytes: &[u8]) -> Found {
    let (records, torn) = bytes.as_chunks::<LENGTH>();
    let facts: Vec<Option<Record>> = records.iter().map(Record::decode).collect();
    let (inner, closed) = match facts.as_slice() {
        [inner @ .., Some(Record::Done)] if torn.is_empty() => (inner, true),
        all => (all, false),
    };
    let [Some(Record::Head(boot, floor)), used @ ..] = inner else {
        return Found::Damaged { newest: newest(&facts) };
    };
    let traces: Option<Vec<Trace>> = used
        .iter()
        .map(|fact| match fact {
            Some(Record::Used(trace)) => Some(*trace),
            _ => None,
        })
        .collect();
    match traces {
        Some(traces) => Found::Whole { boot: *boot, floor: *floor, closed, traces },
        None => Found::Damaged { newest: newest(&facts) },
    }
}

fn newest(facts: &[Option<Record>]) -> Moment {
    let stamps = facts.iter().flatten().map(|fact| match fact {
        Record::Head(_, stamp) | Record::Horizon(stamp) => *stamp,
        Record::Used(trace) => trace.stamp,
        Record::Done => Moment::EPOCH,
    });
    stamps.max().unwrap_or_default()
}

/// Reads a horizon file; a damaged one is as good as none.
pub(super) fn read_horizon(bytes: &[u8]) -> Option<Moment> {
    match Record::decode(bytes.try_into().ok()?) {
        Some(Record::Horizon(horizon)) => Some(horizon),
        _ => None,
    }
}

/// Decides with what to begin at `now`, in `boot`; as many as `spare` knocks stay known whatever their
/// age.
pub(super) fn start(
    found: Found,
    horizon: Option<Moment>,
    boot: BootId,
    now: Moment,
    window: Duration,
    spare: usize,
) -> Start {
    let (history, newest) = match found {
        Found::Whole { boot: then, floor, closed, traces } if closed || then == boot => {
            return complete(floor, traces, now, window, spare);
        }
        Found::Whole { floor, traces, .. } => {
            let newest = traces.iter().map(|trace| trace.stamp).max().unwrap_or_default();
            (History::Unsynced, newest.max(floor))
        }
        Found::Damaged { newest } => (History::Damaged, newest),
        Found::Missing if horizon.is_some() => (History::Missing, Moment::EPOCH),
        Found::Missing => (History::None, Moment::EPOCH),
    };
    // Without a horizon all that is known is that nobody could be admitted from further ahead.
    let floor = horizon.unwrap_or(now.after(window)).max(newest);
    Start { floor, traces: Vec::new(), history }
}

/// Begins where the journal ends, without what the memory would forget at once.
fn complete(
    floor: Moment,
    traces: Vec<Trace>,
    now: Moment,
    window: Duration,
    spare: usize,
) -> Start {
    let (mut old, mut traces): (Vec<_>, Vec<_>) =
        traces.into_iter().partition(|trace| now > trace.stamp.after(window));
    let forgotten = old.len().saturating_sub(spare.saturating_sub(traces.len()));
    if forgotten < old.len() {
        // The oldest to the front.
        old.select_nth_unstable(forgotten);
    }
    let floor = old.drain(..forgotten).map(|trace| trace.stamp).fold(floor, Moment::max);
    traces.append(&mut old);
    Start { floor, traces, history: History::Complete }
}

#[cfg(test)]
mod tests {
    use sknock_protocol::KnockId;

    use super::super::OneTimeKey;
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);
    const HERE: BootId = BootId([1; 16]);
    const ELSEWHERE: BootId = BootId([2; 16]);

    fn at(secs: u64) -> Moment {
        Moment::from_secs(secs)
    }

    fn trace(stamp: u64) -> Trace {
        Trace { stamp: at(stamp), id: KnockId([5; 32]), key: OneTimeKey([6; 16]) }
    }

    fn file(records: &[Record]) -> Vec<u8> {
        records.iter().flat_map(Record::encode).collect()
    }

    fn open(bytes: &[u8], horizon: Option<u64>) -> (Moment, usize, History) {
        let start = start(read(bytes), horizon.map(at), HERE, at(110), WINDOW, 0);
        (start.floor, start.traces.len(), start.history)
    }

    #[test]
    fn a_journal_of_this_boot_or_a_closed_one_is_complete() {
        let used = Record::Used(trace(100));
        let same = file(&[Record::Head(HERE, at(7)), used]);
        assert_eq!(open(&same, Some(160)), (at(7), 1, History::Complete));
        let closed = file(&[Record::Head(ELSEWHERE, at(7)), used, Record::Done]);
        assert_eq!(open(&closed, None), (at(7), 1, History::Complete));
    }

    #[test]
    fn after_another_boot_the_horizon_is_the_floor() {
        let journal = file(&[Record::Head(ELSEWHERE, at(7)), Record::Used(trace(100))]);
        assert_eq!(open(&journal, Some(160)), (at(160), 0, History::Unsynced));
        assert_eq!(open(&journal, None), (at(140), 0, History::Unsynced));
    }

    #[test]
    fn the_floor_is_never_below_anything_read() {
        let ahead = file(&[Record::Head(ELSEWHERE, at(7)), Record::Used(trace(900))]);
        assert_eq!(open(&ahead, Some(160)).0, at(900));
        let raised = file(&[Record::Head(ELSEWHERE, at(901)), Record::Used(trace(900))]);
        assert_eq!(open(&raised, None).0, at(901));
        let mut damaged =
            file(&[Record::Head(HERE, at(7)), Record::Done, Record::Used(trace(900))]);
        assert_eq!(open(&damaged, None), (at(900), 0, History::Damaged));
        damaged[0] ^= 1;
        assert_eq!(open(&damaged, Some(901)), (at(901), 0, History::Damaged));
    }

    #[test]
    fn without_a_journal_the_horizon_or_one_window_counts() {
        let begin = |horizon| start(Found::Missing, horizon, HERE, at(110), WINDOW, 0);
        assert_eq!(begin(Some(at(160))).floor, at(160));
        assert_eq!(begin(Some(at(160))).history, History::Missing);
        assert_eq!(begin(None).floor, at(140));
        assert_eq!(begin(None).history, History::None);
    }

    #[test]
    fn a_torn_tail_is_dropped_but_a_rotten_record_is_not() {
        let journal = file(&[Record::Head(HERE, at(7)), Record::Used(trace(100))]);
        for length in LENGTH..journal.len() {
            assert_eq!(open(&journal[..length], None), (at(7), 0, History::Complete), "{length}");
        }
        let mut rotten = journal;
        rotten[LENGTH + 3] ^= 1;
        assert_eq!(open(&rotten, Some(160)), (at(160), 0, History::Damaged));
        assert_eq!(open(&[], Some(160)), (at(160), 0, History::Damaged));
    }

    #[test]
    fn a_closing_mark_counts_only_at_the_very_end() {
        let mut journal = file(&[Record::Head(ELSEWHERE, at(7)), Record::Done]);
        assert_eq!(open(&journal, Some(160)).2, History::Complete);
        journal.push(0);
        assert_eq!(open(&journal, Some(160)), (at(160), 0, History::Damaged));
    }

    #[test]
    fn old_knocks_are_forgotten_while_reading_and_raise_the_floor() {
        let journal = file(&[
            Record::Head(HERE, at(7)),
            Record::Used(trace(79)),
            Record::Used(trace(80)),
            Record::Used(trace(200)),
        ]);
        assert_eq!(open(&journal, None), (at(79), 2, History::Complete));
        let spare = |spare| {
            let start = start(read(&journal), None, HERE, at(110), WINDOW, spare);
            (start.floor, start.traces.len())
        };
        assert_eq!([spare(2), spare(3), spare(9)], [(at(79), 2), (at(7), 3), (at(7), 3)]);
    }

    #[test]
    fn a_damaged_horizon_is_none() {
        let mut bytes = Record::Horizon(at(160)).encode();
        assert_eq!(read_horizon(&bytes), Some(at(160)));
        assert_eq!(read_horizon(&bytes[1..]), None);
        bytes[20] ^= 1;
        assert_eq!(read_horizon(&bytes), None);
        assert_eq!(read_horizon(&Record::Done.encode()), None);
    }
}
