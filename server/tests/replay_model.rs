//! The journal beside a model of a few lines, through any course of knocks, clock steps, stops,
//! crashes and losses. What must hold: no knock twice, ever; and a fresh one once there is no doubt
//! about it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use sknock_protocol::{KnockId, Moment};
use sknock_server::replay::{BootId, History, Journal, OneTimeKey, ReplayStore, Trace, Used};

const WINDOW: Duration = Duration::from_secs(30);
const START: Moment = Moment::from_secs(1_800_000_000);
const RECORD: u64 = 64;

#[derive(Clone, Debug)]
enum Event {
    /// A new knock, stamped so many ms off the clock.
    Knock(i64),
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
    /// Killed, with so many bytes of a record written.
    KillWhileWriting(usize),
    /// The journal's end, from anywhere after its head, did not reach the disk.
    PowerLoss(prop::sample::Index),
    JournalLost,
    HorizonLost,
}

fn event() -> impl Strategy<Value = Event> {
    let skew = -30_000..=30_000_i64;
    let years = 2_300_000_000_000_i64;
    prop_oneof![
        8 => skew.prop_map(Event::Knock),
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
        (1..64_usize).prop_map(End::KillWhileWriting),
        any::<prop::sample::Index>().prop_map(End::PowerLoss),
        Just(End::JournalLost),
        Just(End::HorizonLost),
    ]
}

/// What the journal should know.
#[derive(Default)]
struct Model {
    capacity: usize,
    floor: Moment,
    live: BTreeSet<Trace>,
    /// As the journal file has them: it may know for longer what memory has forgotten, for the
    /// files are written anew only at a start here.
    written: (Moment, BTreeSet<Trace>),
    /// Every knock ever admitted.
    ever: BTreeSet<Trace>,
    /// The latest moment that any floor or admitted stamp has been at.
    latest: Moment,
}

impl Model {
    /// By age, but for a sixteenth of the capacity.
    fn forget(&mut self, now: Moment) {
        while self.live.len() > self.capacity / 16
            && let Some(oldest) = self.live.first().filter(|one| now > one.stamp.after(WINDOW))
        {
            self.floor = self.floor.max(oldest.stamp);
            self.live.pop_first();
        }
    }

    fn expect(&mut self, trace: &Trace, now: Moment) -> Used {
        self.forget(now);
        if self.live.contains(trace) {
            Used::Before
        } else if trace.stamp <= self.floor {
            Used::Forgotten
        } else if self.live.len() >= self.capacity {
            Used::Full
        } else {
            Used::Never
        }
    }
}

struct World {
    dir: tempfile::TempDir,
    boot: u64,
    now: Moment,
    journal: Option<Journal>,
    model: Model,
    knocks: Vec<Trace>,
}

impl World {
    fn new(capacity: usize) -> Self {
        let model = Model { capacity, ..Model::default() };
        let dir = tempfile::tempdir().unwrap();
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
            model.forget(self.now);
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
        model.written = (model.floor, model.live.clone());
        model.latest = model.latest.max(model.floor);
        opened.history
    }

    fn knock(&mut self, trace: Trace) {
        let expected = self.model.expect(&trace, self.now);
        let used = self.journal.as_ref().unwrap().record(&trace, self.now);
        assert_eq!(used, expected, "{trace:?} at {}", self.now);
        if used == Used::Never {
            assert!(self.model.ever.insert(trace), "admitted twice: {trace:?}");
            self.model.live.insert(trace);
            self.model.written.1.insert(trace);
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
    }

    /// What happens to the files between two starts; whether the journal is still certain.
    fn damage(&mut self, end: &End) -> bool {
        match end {
            End::KillWhileWriting(bytes) => {
                append(&self.file("journal"), &vec![0x55; *bytes]);
                true
            }
            End::PowerLoss(index) => {
                self.boot += 1;
                let file = fs::OpenOptions::new().write(true).open(self.file("journal")).unwrap();
                let length = file.metadata().unwrap().len();
                let lost = index.index(usize::try_from(length - RECORD + 1).unwrap());
                file.set_len(length - lost as u64).unwrap();
                false
            }
            End::JournalLost => {
                fs::remove_file(self.file("journal")).unwrap();
                false
            }
            End::HorizonLost => {
                fs::remove_file(self.file("horizon")).unwrap();
                true
            }
            End::Stop { .. } | End::Kill => true,
        }
    }

    fn play(&mut self, event: &Event) {
        match event {
            Event::Knock(offset) => {
                let trace = fresh(self.knocks.len(), step(self.now, *offset));
                self.knocks.push(trace);
                self.knock(trace);
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

fn step(from: Moment, by: i64) -> Moment {
    let span = Duration::from_millis(by.unsigned_abs());
    if by < 0 { from.before(span) } else { from.after(span) }
}

fn fresh(number: usize, stamp: Moment) -> Trace {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let mut key = [0; 16];
    key[8..].copy_from_slice(&number.to_be_bytes());
    Trace { stamp, id: KnockId(id), key: OneTimeKey(key) }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut all = fs::read(path).unwrap();
    all.extend(bytes);
    fs::write(path, all).unwrap();
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
