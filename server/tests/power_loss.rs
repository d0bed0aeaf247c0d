//! The power fails at any moment of a course of starts, knocks, rewritings and stops; what the file system
//! may leave of the changes until then is put back, and the server starts on it.
//!
//! What must hold: no knock whose admission was reported is admitted again; every start succeeds; and
//! nobody is kept out for longer than a minute and a window. Whether that would be noticed is tried, too:
//! with syncs that are not carried out.

use std::path::Path;
use std::time::Duration;

use sknock_protocol::{KnockId, Timestamp};
use sknock_server::knock::replay::{
    BootId, History, Journal, OneTimeKey, Recorded, ReplayEntry, ReplayStore,
};
use sknock_storage::outage::{DiskState, Ignored, Recorder, restore};
use tempfile::TempDir;

const WINDOW: Duration = Duration::from_secs(30);
const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const CAPACITY: usize = 40;

/// How far the horizon is put ahead.
const AHEAD: Duration = Duration::from_secs(60);

/// In memory where there is such a file system, as every start syncs.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

fn open(dir: &Path, boot: u64, now: Timestamp) -> (Journal, Timestamp, History) {
    let boot: BootId = format!("{boot:032x}").parse().unwrap();
    let (journal, opened) = Journal::open(dir, &boot, now, WINDOW, CAPACITY)
        .expect("whatever a power loss leaves, the server starts");
    (journal, opened.admits_from, opened.history)
}

fn knock(number: u64, stamp: Timestamp) -> ReplayEntry {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let mut key = [0; 16];
    key[8..].copy_from_slice(&number.to_be_bytes());
    ReplayEntry { stamp, id: KnockId(id), key: OneTimeKey(key) }
}

/// What was done, and when the recorder had counted how many changes.
struct Course {
    folder: TempDir,
    recorder: Recorder,
    now: Timestamp,
    boot: u64,
    /// From that count on the knock is known to be admitted.
    admitted: Vec<(usize, ReplayEntry)>,
    /// From that count on it was that time, in that boot.
    timestamps: Vec<(usize, Timestamp, u64)>,
    /// The first start was over.
    begun: usize,
}

impl Course {
    /// A first start, then each kind of end with knocks in between, enough of them that the journal is
    /// written anew several times.
    fn new() -> Self {
        let mut course = Self {
            folder: folder(),
            recorder: Recorder::default(),
            now: START,
            boot: 1,
            admitted: Vec::new(),
            timestamps: vec![(0, START, 1)],
            begun: 0,
        };
        course.live(0, true);
        course.begun = course.recorder.count();
        course.pass(WINDOW + Duration::from_secs(1), 0);
        for (knocks, stops, reboots) in [
            (3, true, 0),
            (10, false, 0),
            (300, true, 0),
            (5, true, 1),
            (250, false, 0),
            (4, true, 1),
        ] {
            course.live(knocks, stops);
            course.pass(Duration::from_secs(1), reboots);
        }
        course
    }

    fn pass(&mut self, time: Duration, reboots: u64) {
        self.now = self.now.after(time);
        self.boot += reboots;
        self.timestamps.push((self.recorder.count(), self.now, self.boot));
    }

    /// A start, so many knocks, one a second, and an end.
    fn live(&mut self, knocks: usize, stops: bool) {
        let recorder = self.recorder.clone();
        let (journal, from, history) =
            recorder.during(|| open(self.folder.path(), self.boot, self.now));
        assert!(from <= self.now || history == History::None, "{history}");
        for _ in 0..knocks {
            self.pass(Duration::from_secs(1), 0);
            let trace = knock(self.admitted.len() as u64, self.now);
            let used = recorder.during(|| journal.record(&trace, self.now));
            assert_eq!(used, Recorded::New);
            self.admitted.push((recorder.count(), trace));
        }
        if stops {
            recorder.during(|| journal.close().unwrap());
        }
    }

    /// The counts that differ most: before and after everything but a plain write, and some others.
    fn counts(&self) -> impl Iterator<Item = usize> + '_ {
        let is_turn = |count: usize| self.recorder.is_turn(count);
        (0..=self.recorder.count()).filter(move |&count| {
            is_turn(count) || is_turn(count.saturating_sub(1)) || count % 29 == 0
        })
    }

    fn at(&self, count: usize) -> (Timestamp, u64) {
        let past = self.timestamps.iter().rfind(|timestamp| timestamp.0 <= count);
        past.map(|&(_, now, boot)| (now, boot)).unwrap()
    }

    /// What is wrong with a start on what is left, if anything is.
    fn judge(
        &self,
        state: &DiskState,
        count: usize,
        dir: &Path,
        same_boot: bool,
    ) -> Option<String> {
        let (now, boot) = self.at(count);
        restore(state, dir).unwrap();
        let (journal, from, history) = open(dir, if same_boot { boot } else { 99 }, now);
        let reported = self.admitted.iter().filter(|(known, _)| *known <= count);
        for (_, trace) in reported {
            if journal.record(trace, now) == Recorded::New {
                return Some(format!("after {count}, {history}: admitted again: {trace:?}"));
            }
        }
        if from > now.after(WINDOW + AHEAD + Duration::from_millis(1)) {
            return Some(format!("after {count}, {history}: nobody is let in until {from}"));
        }
        if same_boot && count >= self.begun && history != History::Complete {
            return Some(format!("after {count}, killed: {history}"));
        }
        // And it goes on from there.
        let fresh = knock(1_000_000, from.max(now));
        if journal.record(&fresh, fresh.stamp) != Recorded::New {
            return Some(format!("after {count}, {history}: a fresh knock is refused"));
        }
        drop(journal);
        let (journal, _, history) = open(dir, if same_boot { boot } else { 99 }, fresh.stamp);
        let again = journal.record(&fresh, fresh.stamp);
        (history != History::Complete || again != Recorded::Replayed)
            .then(|| format!("after {count}, once more: {history}, {again:?}"))
    }

    fn violations(&self, ignored: Ignored) -> Vec<String> {
        let dir = folder();
        let judge = |count| {
            let states = self.recorder.outages(count, ignored);
            states.iter().find_map(|state| self.judge(state, count, dir.path(), false))
        };
        self.counts().filter_map(judge).collect()
    }
}

#[test]
fn no_power_loss_admits_a_knock_again_or_locks_clients_out_for_long() {
    let course = Course::new();
    let violations = course.violations(Ignored::Nothing);
    assert!(violations.is_empty(), "{} times, as {}", violations.len(), violations[0]);
}

/// A process that is killed loses nothing, wherever it was.
#[test]
fn a_kill_at_any_moment_loses_no_knock() {
    let (course, dir) = (Course::new(), folder());
    for count in 0..=course.recorder.count() {
        let state = course.recorder.kill(count);
        assert_eq!(course.judge(&state, count, dir.path(), true), None);
    }
}

/// The test above would notice if files were not synced.
#[test]
fn without_syncs_a_power_loss_would_admit_knocks_again() {
    let violations = Course::new().violations(Ignored::Files);
    let again = violations.iter().filter(|what| what.contains("admitted again")).count();
    assert!(again > 0, "{} others", violations.len());
}
