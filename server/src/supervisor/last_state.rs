//! The state directory that was last in force in this boot and network namespace: in memory, and in a file
//! beside the instance lock for the next start.
//!
//! A properly closed journal is complete only if no other state directory was used for grants since. So the
//! directory is recorded before the network process may make grants with it.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use sknock_gate::{BootInstant, Origin};
use sknock_protocol::Timestamp;
use sknock_storage::{Slots, Stored, remove};

use crate::knock::replay::state_dir::{FolderId, LastInForce};
use crate::sys::clock;

/// Size of each of the two slots: a path may have 4096 bytes, and JSON may use six for each.
const SLOT: u64 = 32 << 10;

/// The last state directory, and its file.
#[derive(Debug)]
pub(crate) struct LastState {
    slots: Slots,
    origin: String,
    last: Option<StateRecord>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct StateRecord {
    /// Boot and namespace: numbers of network namespaces are reused, and a folder may outlive a boot.
    origin: String,
    folder: FolderId,
    /// Its path at that time.
    path: PathBuf,
    /// The timestamp window with which it admits knocks.
    window: Duration,
    /// Upper bound of timestamps admitted earlier, with another folder or window, or by a clock that was ahead; in
    /// milliseconds since 1970.
    latest: u64,
    /// How far the wall clock was ahead of the machine's start at the latest grants, in milliseconds. `None`
    /// before the first grant.
    lead: Option<i64>,
}

/// Both clocks, read at about the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    wall: Timestamp,
    boot: BootInstant,
}

impl Clocks {
    pub(crate) fn now() -> Self {
        Self { wall: clock::now(), boot: BootInstant::now() }
    }

    fn lead(self) -> i64 {
        let boot = u64::try_from(self.boot.since(BootInstant::default()).as_millis());
        self.wall.as_millis().cast_signed().saturating_sub_unsigned(boot.unwrap_or(u64::MAX))
    }

    /// What the wall clock would show, if it were ahead by this much.
    fn wall_by(self, lead: i64) -> Timestamp {
        let ahead = Duration::from_millis(lead.saturating_sub(self.lead()).max(0).unsigned_abs());
        self.wall.after(ahead)
    }
}

/// A wall clock that differs by more was stepped, or slewed for a minute and a half: until then the error is below
/// that of two clocks that are read one after the other.
const SLACK_MS: u64 = 50;

impl LastState {
    /// Opens the file `path` and reads it. All its disk blocks are allocated now, so that later writes cannot
    /// fail with ENOSPC.
    pub(crate) fn open(path: &Path, origin: Origin) -> io::Result<Self> {
        let file = open_file(path)?;
        file.allocate(2 * SLOT)?;
        let (slots, content) = Slots::read(file, SLOT)?;
        let origin = origin.to_string();
        // An incomplete value was never in force.
        let last = content.latest.and_then(|value| serde_json::from_slice(&value).ok());
        let last = last.filter(|last: &StateRecord| last.origin == origin);
        Ok(Self { slots, origin, last })
    }

    /// The path of the last one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.last.as_ref().map(|last| last.path.as_path())
    }

    /// The information for a network process that locks a state directory later than now.
    pub(crate) fn before(&self, now: Clocks) -> LastInForce {
        let Some(last) = &self.last else { return LastInForce::default() };
        LastInForce { folder: Some(last.folder), window: last.window, latest: last.latest_at(now) }
    }

    /// Records that from now on knocks are admitted with this folder, at `path`, with timestamps up to
    /// `window` ahead.
    ///
    /// # Errors
    ///
    /// Those of writing. Then no knock may be admitted with it.
    pub(crate) fn enter(
        &mut self,
        (path, folder): (&Path, FolderId),
        window: Duration,
        now: Clocks,
    ) -> io::Result<()> {
        let known = self.last.as_ref().map(|last| (last.path.as_path(), last.folder, last.window));
        if known == Some((path, folder, window)) {
            return Ok(());
        }
        let latest = self.last.as_ref().map_or(0, |last| last.latest_at(now));
        let (origin, path) = (self.origin.clone(), path.to_owned());
        self.put(StateRecord { origin, folder, path, window, latest, lead: None })
    }

    /// Records the clock by which knocks are granted now, if it differs from that of the grants before. Whether it
    /// was stepped.
    ///
    /// # Errors
    ///
    /// Those of writing. Then nothing may be granted.
    pub(crate) fn note_grants(&mut self, now: Clocks) -> io::Result<bool> {
        let Some(last) = &self.last else { return Ok(false) };
        if last.lead.is_some_and(|lead| lead.abs_diff(now.lead()) <= SLACK_MS) {
            return Ok(false);
        }
        let stepped = last.lead.is_some();
        let last =
            StateRecord { latest: last.latest_at(now), lead: Some(now.lead()), ..last.clone() };
        self.put(last).map(|()| stepped)
    }

    fn put(&mut self, record: StateRecord) -> io::Result<()> {
        self.slots.put(&serde_json::to_vec(&record)?)?;
        self.last = Some(record);
        Ok(())
    }
}

impl StateRecord {
    /// No later timestamp was admitted.
    fn latest_at(&self, now: Clocks) -> u64 {
        let wall = self.lead.map_or(now.wall, |lead| now.wall_by(lead));
        self.latest.max(wall.after(self.window).as_millis())
    }
}

/// Opens or makes the file. It gets the owner of the folder, root or the unit's user, so that either can read
/// the other's; a file of another user is replaced.
fn open_file(path: &Path) -> io::Result<Stored> {
    let folder = fs::metadata(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    let owners = [0, geteuid().as_raw(), folder.uid()];
    let known = |file: &Stored| {
        file.file()
            .metadata()
            // A second name: fchown below would give away a file of another folder.
            .is_ok_and(|found| owners.contains(&found.uid()) && found.nlink() == 1)
    };
    let file = match Stored::open(path) {
        Ok(file) if known(&file) => file,
        _ => {
            remove(path)?;
            Stored::create(path, 0o600)?
        }
    };
    if geteuid().is_root() {
        fchown(file.file(), Some(folder.uid()), Some(folder.gid()))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(7);

    /// A machine that was started when 1970 was that many seconds old.
    const START: u64 = 1000;

    fn at(seconds: u64) -> Clocks {
        stepped(seconds, 0)
    }

    /// By a clock that is this many seconds ahead.
    fn stepped(seconds: u64, ahead: u64) -> Clocks {
        let boot = BootInstant::from_millis(seconds * 1000);
        Clocks { wall: Timestamp::from_secs(START + seconds + ahead), boot }
    }

    /// How far ahead of `now` a timestamp may have been admitted, in seconds.
    fn ahead(state: &LastState, now: Clocks) -> u64 {
        Timestamp::from_millis(state.before(now).latest).since(now.wall).as_secs()
    }

    fn here() -> Origin {
        Origin::here(Path::new("/")).unwrap()
    }

    struct Scene(tempfile::TempDir);

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in ["one", "two"] {
                fs::create_dir(folder.path().join(name)).unwrap();
            }
            Self(folder)
        }

        fn folder(&self, name: &str) -> FolderId {
            FolderId::from(&fs::metadata(self.0.path().join(name)).unwrap())
        }

        fn open(&self) -> LastState {
            LastState::open(&self.0.path().join("net-1.state"), here()).unwrap()
        }
    }

    #[test]
    fn the_next_start_knows_which_was_the_last() {
        let scene = Scene::new();
        let [one, two] = ["one", "two"].map(|name| scene.folder(name));
        assert_eq!(scene.open().before(at(0)), LastInForce::default());
        let mut state = scene.open();
        for folder in [one, two, two, one] {
            state.enter((Path::new("/state"), folder), WINDOW, at(1)).unwrap();
            for known in [&state, &scene.open()] {
                assert_eq!(known.before(at(100)).folder, Some(folder));
                assert_eq!((known.before(at(100)).window, ahead(known, at(100))), (WINDOW, 7));
            }
        }
    }

    #[test]
    fn only_files_of_root_or_the_units_user_are_read() {
        let (scene, user) = (Scene::new(), Some(65534));
        let path = scene.0.path().join("net-1.state");
        let enter = |name| {
            let named = (Path::new("/state"), scene.folder(name));
            scene.open().enter(named, WINDOW, at(0)).unwrap();
        };
        let owner = || fs::metadata(&path).unwrap().uid();
        enter("one");
        assert_eq!(owner(), 0);
        chown(scene.0.path(), user, user).expect("these tests run as root");
        assert_eq!(scene.open().before(at(0)).folder, Some(scene.folder("one")));
        assert_eq!(owner(), 65534, "the unit's user can open it now");
        enter("two");
        assert_eq!(scene.open().before(at(0)).folder, Some(scene.folder("two")));
        chown(&path, Some(65533), None).unwrap();
        assert_eq!(scene.open().before(at(0)), LastInForce::default());
    }

    #[test]
    fn the_longest_path_has_room_in_any_characters() {
        let scene = Scene::new();
        let path = format!("/{}", "\u{1}".repeat(4094));
        let (path, folder) = (Path::new(&path), scene.folder("one"));
        scene.open().enter((path, folder), WINDOW, at(0)).unwrap();
        assert_eq!(scene.open().path(), Some(path));
    }

    #[test]
    fn the_widest_window_applies_until_its_admitted_knocks_are_past() {
        let scene = Scene::new();
        let [one, two] = ["one", "two"].map(|name| scene.folder(name));
        let (mut state, hour) = (scene.open(), Duration::from_secs(3600));
        state.enter((Path::new("/one"), one), hour, at(0)).unwrap();
        // Also the same folder: its knocks are not in others.
        state.enter((Path::new("/one"), one), WINDOW, at(1000)).unwrap();
        state.enter((Path::new("/two"), two), WINDOW, at(1100)).unwrap();
        let ahead_at = |now| ahead(&scene.open(), at(now));
        assert_eq!([1100, 4593, 4594, 9000].map(ahead_at), [2500 + 1000, 7, 7, 7]);
        state.enter((Path::new("/one"), one), WINDOW, at(9000)).unwrap();
        assert_eq!(ahead_at(9001), 7);
    }

    #[test]
    fn what_was_granted_while_the_clock_was_ahead_counts_until_its_time_has_come() {
        let scene = Scene::new();
        let [one, two] = ["one", "two"].map(|name| scene.folder(name));
        let mut state = scene.open();
        assert!(!state.note_grants(at(0)).unwrap(), "no folder is in force");
        state.enter((Path::new("/one"), one), WINDOW, stepped(10, 900)).unwrap();
        assert_eq!(ahead(&state, at(11)), 7, "ahead, but nothing was granted");
        assert!(!state.note_grants(stepped(20, 50)).unwrap(), "the first");
        assert!(!state.note_grants(stepped(21, 50)).unwrap(), "the same clock");
        for known in [&state, &scene.open()] {
            assert_eq!(ahead(known, stepped(22, 50)), 7);
            assert_eq!(ahead(known, at(22)), 57, "the clock is right again");
        }
        // Granted by the right clock: no later timestamp than until then.
        assert!(state.note_grants(at(23)).unwrap());
        state.enter((Path::new("/two"), two), WINDOW, at(30)).unwrap();
        let known = scene.open();
        assert_eq!([30, 40, 70, 80].map(|now| ahead(&known, at(now))), [50, 40, 10, 7]);
        assert_eq!(known.before(at(30)).folder, Some(two));
    }

    #[test]
    fn a_file_of_another_network_namespace_or_a_damaged_one_is_ignored() {
        let scene = Scene::new();
        let path = scene.0.path().join("net-1.state");
        let elsewhere = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("tests run as root");
            here()
        });
        let elsewhere = elsewhere.join().unwrap();
        let mut other = LastState::open(&path, elsewhere).unwrap();
        other.enter((Path::new("/state"), scene.folder("one")), WINDOW, at(0)).unwrap();
        assert_eq!(scene.open().before(at(0)), LastInForce::default());
        scene.open().enter((Path::new("/state"), scene.folder("two")), WINDOW, at(0)).unwrap();
        assert_eq!(scene.open().before(at(0)).folder, Some(scene.folder("two")));
        fs::write(&path, "junk").unwrap();
        assert_eq!(scene.open().before(at(0)), LastInForce::default());
    }
}
