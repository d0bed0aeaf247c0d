//! A loader and the gate's memory of tags, at any time and by any clock.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use sknock_gate::{KnockTags, Request};
use sknock_protocol::v2::tag::TAGS;

use super::*;

/// A time of day in an epoch's middle; some epochs have passed since boot.
const NOON: Timestamp = Timestamp::from_millis(1_750_000_000_000 + 30_000);
const UPTIME: Duration = Duration::from_secs(500);

#[derive(Default)]
struct Kernel {
    now: BootInstant,
    tags: KnockTags,
    /// How often tags were loaded, and of these how often in place of others.
    loads: u32,
    replaced: u32,
    /// Whether loading fails.
    fails: bool,
}

impl Kernel {
    fn serve(&mut self, request: Request) -> Response {
        match request {
            Request::StageTags { seconds, tags } => {
                let span = Duration::from_secs(seconds.into());
                self.tags.stage(&tags, span, self.now).unwrap();
            }
            Request::LoadTags { count, replace, seconds } => {
                let span = Duration::from_secs(seconds.into());
                let change = self.tags.plan(count as usize, replace, span, self.now).unwrap();
                if self.fails && count > 0 {
                    return Response::Failed;
                }
                self.tags.apply(&change, self.now);
                self.loads += 1;
                self.replaced += u32::from(replace);
            }
            other => panic!("{other:?}"),
        }
        Response::Tags
    }
}

/// A loader with its kernel, on a host with two clocks.
struct Scene {
    kernel: Arc<Mutex<Kernel>>,
    loader: TagLoader,
    window: Duration,
    wall: Timestamp,
    uptime: BootInstant,
}

fn serve(link: &OwnedFd, kernel: &Mutex<Kernel>) {
    let mut record = [0; Request::LEN];
    while recv(link.as_raw_fd(), &mut record, MsgFlags::empty()) == Ok(Request::LEN) {
        let answer = kernel.lock().unwrap().serve(Request::decode(&record).unwrap()).encode();
        send(link.as_raw_fd(), &answer, MsgFlags::MSG_NOSIGNAL).unwrap();
    }
}

impl Scene {
    fn new(window: u64) -> Self {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        let kernel = Arc::<Mutex<Kernel>>::default();
        let served = Arc::clone(&kernel);
        thread::spawn(move || serve(&theirs, &served));
        let window = Duration::from_secs(window);
        let loader = TagLoader::new(key(), window, GateClient::new(ours));
        let uptime = BootInstant::default().after(UPTIME);
        Self { kernel, loader, window, wall: NOON, uptime }
    }

    fn look(&mut self) {
        self.kernel.lock().unwrap().now = self.uptime;
        self.loader.look(self.wall, self.uptime).unwrap();
    }

    fn pass(&mut self, span: Duration) {
        (self.wall, self.uptime) = (self.wall.after(span), self.uptime.after(span));
    }

    /// Whether the kernel has all tags that are accepted after `span`, or takes none for complete then.
    fn is_right_after(&self, span: Duration) -> bool {
        let kernel = self.kernel.lock().unwrap();
        let elements = kernel.tags.elements(self.uptime.after(span));
        if elements.complete_for.is_zero() {
            return true;
        }
        let has = |tag: &_| elements.tags.binary_search_by_key(tag, |(tag, _)| *tag).is_ok();
        // The first and the last of each kind: all are loaded in one way.
        let some = |count| {
            [0, LOW_TAGS - 1, LOW_TAGS, 1000, TAGS - 1].into_iter().filter(move |i| *i < count)
        };
        accepted(self.wall.after(span), self.window)
            .all(|(epoch, count)| some(count).all(|index| has(&key().tag(epoch, index))))
    }

    fn complete_for(&self) -> Duration {
        self.kernel.lock().unwrap().tags.elements(self.uptime).complete_for
    }

    fn is_complete(&self) -> bool {
        !self.complete_for().is_zero()
    }

    fn loads(&self) -> (u32, u32) {
        let kernel = self.kernel.lock().unwrap();
        (kernel.loads, kernel.replaced)
    }
}

fn key() -> TagKey {
    TagKey::new(&[7; 32]).unwrap()
}

fn keeps_them(scene: &Scene) {
    let most = scene.kernel.lock().unwrap().tags.elements(scene.uptime).tags.len();
    assert!(most < KnockTags::MAX - 10_000, "{:?}: {most}", scene.window);
    for later in [0, 1, 63, 65, 127, 129] {
        let later = Duration::from_secs(later);
        assert!(scene.is_right_after(later), "{:?}, {}, {later:?}", scene.window, scene.wall);
    }
}

/// Also if it ends after any look: then the kernel takes its tags for complete no longer than they are.
#[test]
fn no_accepted_tag_is_missing_while_tags_are_marked_as_complete() {
    for window in [1, 7, 128, 3600] {
        let mut scene = Scene::new(window);
        for second in 0..200 {
            scene.look();
            assert!(scene.complete_for() > Duration::from_secs(95), "{window}, {second}");
            // At all times of an epoch, in several epochs.
            if second % 19 == 0 {
                keeps_them(&scene);
            }
            scene.pass(TagLoader::LOOK);
        }
        // One for each epoch that begins or half a minute, and all of them only at first.
        let (loads, replaced) = scene.loads();
        assert!((7..=11).contains(&loads) && replaced == 1, "{window}: {loads}, {replaced}");
    }
}

#[test]
fn tags_of_an_epoch_are_there_two_minutes_before_it_begins_and_gone_soon_after_it() {
    let mut scene = Scene::new(7);
    let has = |scene: &Scene, epoch: u64, index| {
        let elements = scene.kernel.lock().unwrap().tags.elements(scene.uptime);
        elements.tags.iter().any(|(tag, _)| *tag == key().tag(epoch, index))
    };
    scene.look();
    let epoch = NOON.as_millis() / EPOCH_MS + 3;
    let begin = Timestamp::from_millis(epoch * EPOCH_MS);
    assert!(begin.since(NOON) > Duration::from_secs(128) && has(&scene, epoch, TAGS - 1));
    scene.pass(begin.since(NOON) + EPOCH + scene.window);
    scene.look();
    assert!(has(&scene, epoch, TAGS - 1));
    scene.pass(MARGIN + TagLoader::LOOK);
    scene.look();
    assert!(!has(&scene, epoch, TAGS - 1) && has(&scene, epoch, 0), "its low tags stay");
    scene.pass(FAR);
    scene.look();
    assert!(!has(&scene, epoch, 0));
}

#[test]
fn after_a_step_of_the_clock_the_next_look_loads_the_tags_of_its_time() {
    for window in [7, 3600] {
        let mut scene = Scene::new(window);
        scene.look();
        for (seconds, is_step) in
            [(3600, true), (-3600, true), (-90_000, true), (1, false), (3, true)]
        {
            let (_, before) = scene.loads();
            scene.pass(TagLoader::LOOK);
            scene.wall = Timestamp::from_millis(
                scene.wall.as_millis().checked_add_signed(seconds * 1000).unwrap(),
            );
            scene.look();
            assert!(scene.is_complete() && scene.is_right_after(Duration::ZERO), "{seconds}");
            assert!(scene.is_right_after(Duration::from_secs(127)), "{seconds}");
            assert_eq!(scene.loads().1, before + u32::from(is_step), "{seconds}");
        }
    }
}

/// Set back by less, tags are accepted for longer than was reckoned.
#[test]
fn a_step_that_is_too_small_to_load_all_again_is_covered() {
    for millis in [-1_999, 1_999] {
        let mut scene = Scene::new(7);
        scene.look();
        let wall = scene.wall.as_millis().checked_add_signed(millis).unwrap();
        scene.wall = Timestamp::from_millis(wall);
        for _ in 0..150 {
            scene.look();
            assert!(scene.is_right_after(Duration::ZERO), "{millis}: {}", scene.wall);
            scene.pass(TagLoader::LOOK);
        }
        assert_eq!(scene.loads().1, 1);
    }
}

/// A clock that is slowly corrected moves as much in the end.
#[test]
fn a_clock_that_drifts_is_followed() {
    let mut scene = Scene::new(7);
    for turn in 0..2_000 {
        scene.look();
        if turn % 50 == 0 {
            keeps_them(&scene);
        }
        scene.uptime = scene.uptime.after(Duration::from_secs(5));
        scene.wall = scene.wall.after(Duration::from_millis(5_005));
    }
    let (_, replaced) = scene.loads();
    assert!((4..=6).contains(&replaced), "{replaced}");
}

/// Both clocks continue during a suspend, and nobody renews anything.
#[test]
fn after_a_suspend_the_next_look_loads_what_is_missing() {
    let mut scene = Scene::new(7);
    scene.look();
    scene.pass(Duration::from_secs(10_000));
    assert!(!scene.is_complete());
    scene.look();
    assert!(scene.is_complete() && scene.is_right_after(Duration::from_secs(127)));
}

#[test]
fn what_could_not_be_loaded_is_loaded_as_a_whole_later() {
    let mut scene = Scene::new(7);
    scene.look();
    scene.kernel.lock().unwrap().fails = true;
    scene.pass(Duration::from_secs(40));
    scene.look();
    assert!(!scene.is_complete(), "everything is captured until then");
    assert_eq!(scene.loads(), (2, 1));
    scene.kernel.lock().unwrap().fails = false;
    scene.pass(RETRY.saturating_sub(TagLoader::LOOK));
    scene.look();
    assert_eq!(scene.loads(), (2, 1), "not at every look");
    scene.pass(TagLoader::LOOK);
    scene.look();
    assert_eq!(scene.loads(), (3, 2));
    assert!(scene.is_complete() && scene.is_right_after(Duration::from_secs(127)));
}

#[test]
fn that_the_gate_has_ended_is_an_error() {
    let (ours, _) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let mut loader = TagLoader::new(key(), Duration::from_secs(7), GateClient::new(ours));
    assert!(loader.look(NOON, BootInstant::default()).is_err());
}
