//! Another `stateDir`, and back: a knock that was used while the other one was in force opens nothing.

use std::fs::{self, File};
use std::num::NonZeroU16;
use std::process::Command;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use sknock_tests::Found::Refused;
use sknock_tests::wait::{now, until};
use sknock_tests::{Authority, Client, Config, Daemon, Datagram, Echo, Seen, World};

const CLOSED: Seen = Seen { client: [Refused; 2], stranger: [Refused; 2] };

/// How far a clock may be off. A used knock is of the right time until it is over, and a folder that another
/// one was in force after accepts no knocks for as long.
const WINDOW: &str = "5";

struct Scene<'a> {
    world: &'a World,
    alice: Client<'a>,
    config: Config,
    daemon: Daemon<'a>,
    _ssh: Echo,
}

impl<'a> Scene<'a> {
    /// A server that has `state` in order, and accepts knocks.
    fn new(world: &'a World, authority: &'a Authority) -> Self {
        let config = Config::new(authority).set("TIMESTAMP_THRESHOLD_IN_SECONDS", WINDOW);
        let daemon = Daemon::start_settled(&world.gateway, &config);
        let alice = Client::alice(&world.client, authority);
        Self { world, alice, config, daemon, _ssh: Echo::tcp(&world.gateway, 22) }
    }

    fn elsewhere(&self) -> Config {
        self.config.clone().set("stateDir", "state2")
    }

    /// Has the daemon run with `config`; returns as soon as it protects.
    fn change(&mut self, config: &Config, how: &str) {
        self.daemon.configure(config);
        let mark = self.daemon.mark();
        match how {
            "reload" => self.daemon.signal(Signal::SIGHUP),
            "restart" => {
                assert_eq!(self.daemon.stop().code, Some(0));
                self.daemon.begin();
            }
            _ => {
                self.daemon.crash();
                self.daemon.begin();
            }
        }
        self.daemon.wait_since(mark, "protecting status");
    }

    /// A knock that is used now, and of the right time for nine seconds.
    fn use_up(&self) -> Datagram {
        let used = self.alice.seal_with(&["tcp/22"], |wish| {
            wish.stamp = wish.stamp.after(Duration::from_secs(4));
            wish.lifetime = NonZeroU16::new(1);
        });
        used.send(&self.world.client, World::GATEWAY[0]).must_be_granted();
        until("its door closes", || self.world.tcp(22) == CLOSED);
        used
    }

    /// It is of the right time, and is refused all the same.
    #[track_caller]
    fn must_be_refused(&self, used: &Datagram, how: &str) {
        let mark = self.daemon.mark();
        let sent = used.send(&self.world.client, World::GATEWAY[0]);
        let line = self.daemon.wait_since(mark, &format!("source={}", sent.source()));
        assert!(line.contains("reason=\"before-memory\""), "{how}: {line}");
        assert_eq!(self.world.tcp(22), CLOSED, "{how}");
    }

    fn opens(&self) {
        let knock = self.alice.seal_for(&["tcp/22"], 1);
        knock.send(&self.world.client, World::GATEWAY[0]).must_be_granted();
        until("its door closes", || self.world.tcp(22) == CLOSED);
    }
}

#[test]
fn a_knock_used_under_another_state_dir_opens_nothing_after_the_way_back() {
    let (world, authority) = (World::new(), Authority::new());
    let mut scene = Scene::new(&world, &authority);
    for [there, back] in [["reload", "reload"], ["restart", "restart"], ["reload", "kill -9"]] {
        let (first, second) = (scene.config.clone(), scene.elsewhere());
        let mark = scene.daemon.mark();
        scene.change(&second, there);
        scene.daemon.wait_since(mark, Daemon::ACCEPTING);
        let used = scene.use_up();
        let mark = scene.daemon.mark();
        scene.change(&first, back);
        scene.must_be_refused(&used, back);
        scene.daemon.wait_since(mark, "another stateDir was in force since");
        scene.daemon.wait_since(mark, Daemon::ACCEPTING);
        scene.opens();
    }
}

#[test]
fn a_knock_used_in_a_trial_of_another_state_dir_opens_nothing_after_it() {
    let (world, authority) = (World::new(), Authority::new());
    for end in ["not confirmed", "kill -9"] {
        let mut scene = Scene::new(&world, &authority);
        scene.daemon.configure(&scene.elsewhere());
        let mark = scene.daemon.mark();
        assert_eq!(scene.daemon.tell("reload --confirm 14").code, Some(0));
        scene.daemon.wait_since(mark, Daemon::ACCEPTING);
        until("little of it is left", || world.gateway.left_of_trial().is_some_and(|s| s < 5));
        let used = scene.use_up();
        let mark = scene.daemon.mark();
        match end {
            "kill -9" => scene.change(&scene.elsewhere(), end),
            _ => drop(scene.daemon.wait_since(mark, "protecting status")),
        }
        scene.must_be_refused(&used, end);
        scene.daemon.wait_since(mark, Daemon::ACCEPTING);
        scene.opens();
    }
}

/// The other one had a greater window: stamps of its knocks may be as far ahead.
#[test]
fn the_window_of_the_other_state_dir_counts_too() {
    let (world, authority) = (World::new(), Authority::new());
    let mut scene = Scene::new(&world, &authority);
    let (first, second) = (scene.config.clone(), scene.elsewhere());
    let mark = scene.daemon.mark();
    scene.change(&second, "reload");
    scene.daemon.wait_since(mark, Daemon::ACCEPTING);
    let wide = second.clone().set("TIMESTAMP_THRESHOLD_IN_SECONDS", "30");
    scene.change(&wide, "reload");
    let used = scene.alice.seal_with(&["tcp/22"], |wish| {
        wish.stamp = wish.stamp.after(Duration::from_secs(14));
        wish.lifetime = NonZeroU16::new(1);
    });
    used.send(&world.client, World::GATEWAY[0]).must_be_granted();
    until("its door closes", || world.tcp(22) == CLOSED);
    let began = now();
    scene.change(&second, "reload");
    scene.change(&first, "reload");
    until("it is of the right time", || now() > began.after(Duration::from_secs(11)));
    scene.must_be_refused(&used, "after the wait of the narrow window");
}

/// A copy that was put in its place, by a name that was in force last.
#[test]
fn a_copied_state_dir_of_the_same_name_is_detected() {
    let (world, authority) = (World::new(), Authority::new());
    let mut scene = Scene::new(&world, &authority);
    let config = scene.config.clone();
    assert_eq!(scene.daemon.stop().code, Some(0));
    let (state, copy) = (scene.daemon.file("state"), scene.daemon.file("copy"));
    let copied = Command::new("cp").arg("-a").args([&state, &copy]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    scene.daemon.begin();
    scene.daemon.wait_for(Daemon::ACCEPTING);
    let used = scene.use_up();
    assert_eq!(scene.daemon.stop().code, Some(0));
    fs::rename(&state, scene.daemon.file("aside")).unwrap();
    fs::rename(&copy, &state).unwrap();
    scene.daemon.begin();
    scene.daemon.wait_for("protecting");
    scene.must_be_refused(&used, "a copy");
    scene.daemon.wait_for(Daemon::ACCEPTING);
    // It is the one in force now: the same again costs no wait.
    for how in ["reload", "restart", "kill -9"] {
        scene.change(&config, how);
        scene.opens();
    }
}

/// What has never let anybody in needs nothing of the one before it.
#[test]
fn a_state_dir_that_is_in_use_causes_no_wait() {
    let (world, authority) = (World::new(), Authority::new());
    let scene = Scene::new(&world, &authority);
    let other = scene.daemon.file("state2");
    fs::create_dir(&other).unwrap();
    let held = Flock::lock(File::open(&other).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    scene.daemon.configure(&scene.elsewhere());
    let mark = scene.daemon.mark();
    scene.daemon.signal(Signal::SIGHUP);
    scene.daemon.wait_since(mark, "another sknockd uses");
    scene.daemon.wait_since(mark, "protecting status");
    scene.opens();
    assert!(scene.daemon.said_since(mark).iter().all(|line| !line.contains("are accepted in")));
    drop(held);
}
