//! How far the files found on disk can be trusted. Pure: bytes in, the state of a start out.
//!
//! The journal is not synced while it grows, so it is complete only if the machine did not go down: it was
//! closed properly, or the boot is still the same. In every other case the horizon, which *was* synced before
//! any later timestamp was admitted, becomes the floor.

use std::fmt;
use std::time::Duration;

use sknock_protocol::Timestamp;
use sknock_storage::SlotContent;

use super::record::Head;
use super::record::{Beginning, JournalHalf};
use super::{BootId, ReplayEntry};

/// How much of the past is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum History {
    /// All of it.
    Complete,
    /// The machine went down without shutdown; the last records may be missing.
    Unsynced,
    /// The journal contains a record that sknockd did not write.
    Damaged,
    /// The journal is missing.
    Missing,
    /// Another state directory was in force since, and the knocks admitted then are not in this one.
    Superseded,
    /// No trace of an earlier start: a new folder, or an emptied one.
    None,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "every admitted knock is in the replay journal",
            Self::Unsynced => {
                "the machine stopped without a shutdown, so the last admitted \
                               knocks may be lost"
            }
            Self::Damaged => "the replay journal is damaged, so admitted knocks may be lost",
            Self::Missing => "the replay journal is missing",
            Self::Superseded => "another stateDir was in force since this one was",
            Self::None => "first start with this stateDir",
        })
    }
}

/// The journal files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum JournalState {
    /// They do not exist, or were never used.
    Missing,
    /// They are damaged or partly unreadable; `newest` is the largest readable timestamp.
    Damaged { newest: Timestamp },
    /// Every record of the file in use is intact.
    Whole { place: usize, head: Head, closed: bool, traces: Vec<ReplayEntry> },
}

impl JournalState {
    /// The file in use and its generation.
    pub(super) fn current(&self) -> Option<(usize, u64)> {
        match self {
            Self::Whole { place, head, .. } => Some((*place, head.generation)),
            _ => None,
        }
    }
}

/// The initial state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Recovered {
    pub(super) floor: Timestamp,
    pub(super) traces: Vec<ReplayEntry>,
    pub(super) history: History,
}

impl Recovered {
    /// Same, if another folder was in force since and may have admitted timestamps up to `latest`.
    pub(super) fn superseded(self, latest: Timestamp) -> Self {
        let decides = self.floor < latest || self.history == History::Complete;
        let history = if decides { History::Superseded } else { self.history };
        Self { floor: self.floor.max(latest), history, ..self }
    }
}

/// Chooses between the two journal files; `None` for a missing one.
///
/// They are written alternately, so the generations in their heads differ by one, and the file with the
/// greater one is in use. Other files were not written by sknockd: then their former content is unknown. A
/// missing file may have been the one in use.
pub(super) fn read(halves: [Option<JournalHalf>; 2]) -> JournalState {
    let newest = halves.iter().flatten().map(|half| half.newest).max().unwrap_or_default();
    let begun = |half: &Option<JournalHalf>| half.as_ref().map(|half| half.head.generation());
    // An unused file must be empty after its head, too.
    let broken = halves.iter().flatten().any(|half| half.broken);
    let place = match [begun(&halves[0]), begun(&halves[1])] {
        [None | Some(Some(0)), None | Some(Some(0))] if !broken => return JournalState::Missing,
        // Both get a head at the first start: an empty one was cleared.
        [Some(Some(first @ 1..)), Some(Some(second @ 1..))] if first.abs_diff(second) == 1 => {
            usize::from(second > first)
        }
        _ => return JournalState::Damaged { newest },
    };
    let [first, second] = halves;
    match if place == 0 { first } else { second } {
        Some(JournalHalf {
            head: Beginning::Whole(head), traces, closed, broken: false, ..
        }) => JournalState::Whole { place, head, closed, traces },
        _ => JournalState::Damaged { newest },
    }
}

/// The horizon from its slots. If one of them is damaged, it may have been the later one: then no knock can
/// have been admitted with a timestamp after `now` and a window.
pub(super) fn horizon(
    content: &SlotContent,
    now: Timestamp,
    window: Duration,
) -> Option<Timestamp> {
    let bytes = content.latest.as_deref().and_then(|value| value.try_into().ok());
    let horizon = bytes.map(|bytes| Timestamp::from_millis(u64::from_be_bytes(bytes)))?;
    Some(if content.doubtful { horizon.max(now.after(window)) } else { horizon })
}

/// Computes the initial state at `now`, in `boot`; `spare` knocks are kept whatever their age.
pub(super) fn start(
    found: JournalState,
    horizon: Option<Timestamp>,
    boot: BootId,
    now: Timestamp,
    window: Duration,
    spare: usize,
) -> Recovered {
    let (history, newest) = match found {
        JournalState::Whole { head, closed, traces, .. } if closed || head.boot == boot => {
            return complete(head.floor, traces, now, window, spare);
        }
        JournalState::Whole { head, traces, .. } => {
            let newest = traces.iter().map(|trace| trace.stamp).max().unwrap_or_default();
            (History::Unsynced, newest.max(head.floor))
        }
        JournalState::Damaged { newest } => (History::Damaged, newest),
        JournalState::Missing if horizon.is_some() => (History::Missing, Timestamp::EPOCH),
        JournalState::Missing => (History::None, Timestamp::EPOCH),
    };
    // Without a horizon the only limit is that later timestamps could not be admitted.
    let floor = horizon.unwrap_or(now.after(window)).max(newest);
    Recovered { floor, traces: Vec::new(), history }
}

/// Starts with the journal's content, without the knocks that the memory would forget at once.
fn complete(
    floor: Timestamp,
    traces: Vec<ReplayEntry>,
    now: Timestamp,
    window: Duration,
    spare: usize,
) -> Recovered {
    let (mut old, mut traces): (Vec<_>, Vec<_>) =
        traces.into_iter().partition(|trace| now > trace.stamp.after(window));
    let forgotten = old.len().saturating_sub(spare.saturating_sub(traces.len()));
    if forgotten < old.len() {
        // Moves the oldest to the front.
        old.select_nth_unstable(forgotten);
    }
    let floor = old.drain(..forgotten).map(|trace| trace.stamp).fold(floor, Timestamp::max);
    traces.append(&mut old);
    Recovered { floor, traces, history: History::Complete }
}

#[cfg(test)]
mod tests;
