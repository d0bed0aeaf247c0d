//! Somebody with a valid certificate takes all that the server gives, with real knocks, and somebody else
//! still gets in, at once.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Sent, World};

/// How many knocks are sent before the server is given time: sockets hold some thousands.
const AT_ONCE: usize = 100;

/// What the greedy client may open.
const RANGE: &str = "tcp/1000-2999";

struct Scene {
    world: World,
    authority: Authority,
}

impl Scene {
    fn new() -> Self {
        let (world, authority) = (World::new(), Authority::new());
        authority.client("greedy", &[RANGE]);
        Self { world, authority }
    }

    fn config(&self) -> Config {
        Config::new(&self.authority).set("TIMESTAMP_THRESHOLD_IN_SECONDS", "600")
    }

    /// Knocks so often, in turn for each of these services, until all were heard.
    fn take_all(&self, daemon: &Daemon<'_>, count: usize, services: impl Fn(usize) -> String) {
        let greedy = self.greedy();
        self.take(&greedy, daemon, count, services);
    }

    fn greedy(&self) -> Client<'_> {
        Client::named("greedy", &self.world.client, &self.authority)
    }

    fn take(
        &self,
        greedy: &Client<'_>,
        daemon: &Daemon<'_>,
        count: usize,
        services: impl Fn(usize) -> String,
    ) {
        for number in 0..count {
            let knock = greedy.seal_with(&[&services(number)], |wish| wish.answer = false);
            knock.send(&self.world.client, gateway());
            if number % AT_ONCE == AT_ONCE - 1 || number == count - 1 {
                let line = daemon.wait_for(&format!("knock=\"{}\"", knock.id));
                assert!(!line.is_empty());
            }
        }
    }

    /// From the same address, with another certificate.
    fn knock(&self) -> Sent {
        let alice = Client::alice(&self.world.client, &self.authority);
        alice.seal(&["tcp/22"]).send(&self.world.client, gateway())
    }
}

fn gateway() -> IpAddr {
    World::GATEWAY[0]
}

/// A first answer, not a second attempt.
#[track_caller]
fn must_be_answered_at_once(daemon: &Daemon<'_>, knock: &Sent) {
    let line = daemon.wait_for(&format!("knock=\"{}\"", knock.id()));
    assert!(line.contains("audit: granted"), "{line}");
    assert!(knock.answer(Duration::from_secs(5)).is_some(), "it was granted, and not answered");
}

/// Has the flood end, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn one_certificate_cannot_take_all_grants() {
    let scene = Scene::new();
    // 15 knocks of 64 ports are all of them.
    let config = scene.config().set("maxGrants", "960");
    let daemon = Daemon::start_settled(&scene.world.gateway, &config);
    scene.take_all(&daemon, 20, |number| {
        let first = 1000 + 64 * number;
        format!("tcp/{first}-{}", first + 63)
    });
    must_be_answered_at_once(&daemon, &scene.knock());
    assert_eq!(daemon.times_said("reason=\"share-of-certificate\""), 17);
    assert_eq!(scene.world.gateway.doors().len(), 3 * 64 + 1);
}

/// As long as the other one goes on.
#[test]
fn one_certificate_cannot_take_the_whole_rate() {
    let scene = Scene::new();
    let config = scene.config().set("maxGrantsPerSecond", "5");
    let daemon = Daemon::start_settled(&scene.world.gateway, &config);
    let alice = Client::alice(&scene.world.client, &scene.authority);
    let (greedy, done) = (scene.greedy(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                scene.take(&greedy, &daemon, AT_ONCE, |_| "tcp/1000".to_owned());
            }
        });
        let end = End(&done);
        until("the whole rate would be gone", || {
            daemon.times_said("not opened") + daemon.times_said("audit: granted") > 150
        });
        let knocks: Vec<Sent> = (0..8)
            .map(|_| {
                thread::sleep(Duration::from_millis(150));
                alice.seal(&["tcp/22"]).send(&scene.world.client, gateway())
            })
            .collect();
        drop(end);
        for knock in &knocks {
            must_be_answered_at_once(&daemon, knock);
        }
    });
    assert!(daemon.times_said("reason=\"rate-of-certificate\"") > 100);
}

#[test]
fn one_certificate_cannot_take_the_whole_replay_memory() {
    let scene = Scene::new();
    let config = scene.config().set("replayCapacity", "1000");
    let daemon = Daemon::start_settled(&scene.world.gateway, &config);
    scene.take_all(&daemon, 1100, |_| "tcp/1000".to_owned());
    must_be_answered_at_once(&daemon, &scene.knock());
    assert_eq!(daemon.times_said("reason=\"share-of-certificate\""), 900);
}
