//! The journal beside a model of a few lines, through any course of knocks, clock steps, stops,
//! crashes and losses. What must hold: no knock twice, ever; and a fresh one once there is no doubt
//! about it.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;
use sknock_protocol::{KnockId, Timestamp};
use sknock_server::knock::replay::{
    BootId, History, Journal, OneTimeKey, Recorded, ReplayEntry, ReplayStore,
};

const WINDOW: Duration = Duration::from_secs(30);
const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const RECORD: usize = 64;
const JOURNALS: [&str; 2] = ["journal.0", "journal.1"];

#[derive(Clone, Debug)]
enum Event {
    /// A new knock, stamped so many ms off the clock.
    Knock(i64),
    /// So many of them, all stamped with the clock, a second after one another: enough to have the journal
    /// written anew now and then.
    Many(u16),
    /// The same datagram as the n-th knock, whatever became of that.
    Again(prop::sample::Index),
    /// The clock steps by so many ms.
    Clock(i64),
    /// The server ends, something happens to its files, and it starts again.
    Restart(End),
}

#[derive(Clone, Debug)]
enum End {
    Stop {
        reboot: bool,
    },
    Kill,
    /// The records from there on, which are anywhere after the head, did not reach the disk.
    PowerLoss(prop::sample::Index),
    /// One of the two files.
    JournalLost(usize),
    HorizonLost,
    /// All of them, while the clock is right or behind: as a first start.
    AllLost,
}

fn event() -> impl Strategy<Value = Event> {
    let skew = -30_000..=30_000_i64;
    let years = 2_300_000_000_000_i64;
    prop_oneof![
        8 => skew.prop_map(Event::Knock),
        2 => (50..400_u16).prop_map(Event::Many),
        4 => any::<prop::sample::Index>().prop_map(Event::Again),
        4 => (-70_000..=70_000_i64).prop_map(Event::Clock),
        1 => prop_oneof![Just(years), Just(-years)].prop_map(Event::Clock),
        3 => end().prop_map(Event::Restart),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        any::<bool>().prop_map(|reboot| End::Stop { reboot }),
        Just(End::Kill),
        any::<prop::sample::Index>().prop_map(End::PowerLoss),
        (0..2_usize).prop_map(End::JournalLost),
        Just(End::HorizonLost),
        Just(End::AllLost),
    ]
}

/// What the journal should know.
#[derive(Default)]
struct Model {
    capacity: usize,
    floor: Timestamp,
    live: BTreeSet<ReplayEntry>,
    /// As the journal file has them: it may know for longer what memory has forgotten, until it is
    /// written anew.
    written: (Timestamp, BTreeSet<ReplayEntry>),
    /// In the journal file.
    records: usize,
    /// Every knock ever admitted.
    ever: BTreeSet<ReplayEntry>,
    /// The latest moment that any floor or admitted stamp has been at.
    latest: Timestamp,
}

impl Model {
    /// By age, but for a sixteenth of the capacity; `most` at one time.
    fn forget(&mut self, now: Timestamp, mut most: usize) {
        while most > 0
            && self.live.len() > self.capacity / 16
            && let Some(oldest) = self.live.first().filter(|one| now > one.stamp.after(WINDOW))
        {
            self.floor = self.floor.max(oldest.stamp);
            self.live.pop_first();
            most -= 1;
        }
    }

    /// The file is written anew.
    fn compact(&mut self) {
        self.written = (self.floor, self.live.clone());
        self.records = 1 + self.live.len();
    }

    fn expect(&mut self, trace: &ReplayEntry, now: Timestamp) -> Recorded {
        self.forget(now, 16);
        if self.live.contains(trace) {
            Recorded::Replayed
        } else if trace.stamp <= self.floor {
            Recorded::TooOld
        } else if self.live.len() >= self.capacity {
            Recorded::Full
        } else {
            Recorded::New
        }
    }
}

struct World {
    dir: tempfile::TempDir,
    boot: u64,
    now: Timestamp,
    journal: Option<Journal>,
    model: Model,
    knocks: Vec<ReplayEntry>,
}

impl World {
    fn new(capacity: usize) -> Self {
        let model = Model { capacity, ..Model::default() };
        // In memory where there is such a file system, as every start syncs.
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.unwrap();
        let mut world = Self { dir, boot: 1, now: START, journal: None, model, knocks: Vec::new() };
        assert_eq!(world.open(), History::None);
        world
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn open(&mut self) -> History {
        let boot: BootId = format!("{:032x}", self.boot).parse().unwrap();
        let (path, capacity) = (self.dir.path(), self.model.capacity);
        let (journal, opened) = Journal::open(path, &boot, self.now, WINDOW, capacity).unwrap();
        self.journal = Some(journal);
        let model = &mut self.model;
        if opened.history == History::Complete {
            (model.floor, model.live) = model.written.clone();
            model.forget(self.now, usize::MAX);
            assert_eq!(opened.admits_from, model.floor.after(Duration::from_millis(1)));
        } else {
            let bound = match opened.history {
                History::None => self.now.after(WINDOW),
                _ => model.latest.after(Duration::from_secs(60)),
            };
            model.floor = opened.admits_from.before(Duration::from_millis(1));
            assert!(model.floor <= bound, "{opened}: not within a minute of {}", model.latest);
            model.live.clear();
        }
        model.compact();
        model.latest = model.latest.max(model.floor);
        opened.history
    }

    fn knock(&mut self, trace: ReplayEntry) {
        let expected = self.model.expect(&trace, self.now);
        let used = self.journal.as_ref().unwrap().record(&trace, self.now);
        assert_eq!(used, expected, "{trace:?} at {}", self.now);
        if used == Recorded::New {
            assert!(self.model.ever.insert(trace), "admitted twice: {trace:?}");
            self.model.live.insert(trace);
            self.model.written.1.insert(trace);
            self.model.records += 1;
            let room = fs::metadata(self.file(JOURNALS[0])).unwrap().len() / RECORD as u64;
            if self.model.records as u64 >= room - 64 {
                self.model.compact();
            }
            self.model.latest = self.model.latest.max(trace.stamp);
        }
    }

    fn restart(&mut self, end: &End) {
        let journal = self.journal.take().unwrap();
        let certain = if let End::Stop { reboot } = end {
            journal.close().unwrap();
            self.boot += u64::from(*reboot);
            true
        } else {
            drop(journal);
            self.damage(end)
        };
        let history = self.open();
        assert_eq!(history == History::Complete, certain, "{end:?}: {history}");
        assert_eq!(history == History::None, matches!(end, End::AllLost), "{end:?}: {history}");
    }

    /// What happens to the files between two starts; whether the journal is still certain.
    fn damage(&mut self, end: &End) -> bool {
        match end {
            End::PowerLoss(index) => {
                self.boot += 1;
                let current = self.current();
                let mut bytes = fs::read(&current).unwrap();
                let records = bytes.chunks(RECORD).take_while(|one| *one != [0; RECORD]).count();
                bytes[RECORD * (1 + index.index(records))..].fill(0);
                fs::write(&current, bytes).unwrap();
                false
            }
            End::JournalLost(place) => {
                fs::remove_file(self.file(JOURNALS[*place])).unwrap();
                false
            }
            End::HorizonLost => {
                fs::remove_file(self.file("horizon")).unwrap();
                true
            }
            End::AllLost => {
                for name in JOURNALS.into_iter().chain(["horizon"]) {
                    fs::remove_file(self.file(name)).unwrap();
                }
                // What was stamped later than a window from now would be forgotten: as THREATS says of a
                // clock that was ahead. So it is not before all that was used.
                self.now = self.now.max(self.model.latest.before(WINDOW));
                false
            }
            End::Stop { .. } | End::Kill => true,
        }
    }

    /// The file that counts: its head has the greater generation.
    fn current(&self) -> std::path::PathBuf {
        let generation = |name| fs::read(self.file(name)).unwrap()[40..48].to_vec();
        let place = usize::from(generation(JOURNALS[1]) > generation(JOURNALS[0]));
        self.file(JOURNALS[place])
    }

    fn play(&mut self, event: &Event) {
        match event {
            Event::Knock(offset) => {
                let trace = fresh(self.knocks.len(), step(self.now, *offset));
                self.knocks.push(trace);
                self.knock(trace);
            }
            Event::Many(count) => {
                for _ in 0..*count {
                    self.now = step(self.now, 1000);
                    self.play(&Event::Knock(0));
                }
            }
            Event::Again(index) if !self.knocks.is_empty() => {
                self.knock(*index.get(&self.knocks));
            }
            Event::Again(_) => {}
            Event::Clock(by) => self.now = step(self.now, *by),
            Event::Restart(end) => self.restart(end),
        }
    }
}

fn step(from: Timestamp, by: i64) -> Timestamp {
    let span = Duration::from_millis(by.unsigned_abs());
    if by < 0 { from.before(span) } else { from.after(span) }
}

fn fresh(number: usize, stamp: Timestamp) -> ReplayEntry {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let mut key = [0; 16];
    key[8..].copy_from_slice(&number.to_be_bytes());
    ReplayEntry { stamp, id: KnockId(id), key: OneTimeKey(key) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_course_of_events_admits_a_knock_twice(
        capacity in prop_oneof![Just(3_usize), Just(100), Just(1000)],
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(capacity);
        for event in &events {
            world.play(event);
        }
        // And in the end, everything once more.
        for trace in world.knocks.clone() {
            world.knock(trace);
            world.knock(trace);
        }
    }
}
