//! The server's wall clock is stepped: lists seem to have ended, or not to have begun.

use std::fs;

use sknock_tests::Found::Refused;
use sknock_tests::forge::{Forge, HOUR, List};
use sknock_tests::wait::now;
use sknock_tests::{Config, Daemon, Echo, WallClock, World};

use super::scene::{Scene, outcome};

/// In seconds, for the server's clock.
const TWO_HOURS: i64 = 7200;

/// So late that only the list is over, and not the time of a knock.
fn config(scene: &Scene) -> Config {
    scene.config().set("CRL_UPDATE_INTERVAL_IN_MINUTES", "0.1").set("CRL_STALE_GRACE_IN_HOURS", "0")
}

/// Steps the server's clock to this many seconds ahead of the true time, and waits until the kernel has the tags of
/// that time.
fn step(clock: &WallClock, daemon: &Daemon<'_>, seconds: i64) {
    let mark = daemon.mark();
    clock.step_to(seconds);
    daemon.wait_since(mark, "loaded the tags of knocks for its time");
}

/// What becomes of alice's knock, if her clock is off by as much as the server's.
#[track_caller]
fn verdict(scene: &Scene, daemon: &Daemon<'_>, hours: u32) -> String {
    let alice = scene.client("alice");
    let knock = alice.seal_with(&["tcp/22"], |wish| wish.stamp = wish.stamp.after(hours * HOUR));
    outcome(&daemon.verdict(&knock.send(&scene.world.client, World::GATEWAY[0])))
}

#[test]
fn a_crl_that_seems_expired_is_used_again_when_the_clock_is_right() {
    let (scene, clock) = (Scene::new(), WallClock::new());
    let _ssh = Echo::tcp(&scene.world.gateway, 22);
    let due = now().after(HOUR);
    let list = List { number: 7, made: due.before(48 * HOUR), due, revoked: &[] };
    let config = config(&scene).without("crlUrl").set("crlFile", "list.der");
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    fs::write(daemon.file("list.der"), Forge::with_key_of(&scene.authority).list(&list)).unwrap();
    clock.give_to(&mut daemon);
    daemon.settle();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");

    step(&clock, &daemon, TWO_HOURS);
    daemon.wait_for("ALL KNOCKS ARE REFUSED");
    assert_eq!(verdict(&scene, &daemon, 2), "revocation-unknown");
    let mark = daemon.mark();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.wait_since(mark, "failed. The previous configuration stays in force");
    daemon.crash();
    daemon.begin();
    assert_eq!(daemon.wait_for_end().code, Some(69), "for systemd to try again");
    assert_eq!(scene.world.tcp(22).stranger, [Refused; 2], "The rules stay");

    clock.step_to(0);
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(verdict(&scene, &daemon, 0), "granted");
    step(&clock, &daemon, TWO_HOURS);
    daemon.wait_for("ALL KNOCKS ARE REFUSED");
    step(&clock, &daemon, 0);
    assert_eq!(verdict(&scene, &daemon, 0), "granted", "without a reload");
    daemon.reload();
}

#[test]
fn a_crl_that_seems_not_yet_valid_is_used_when_the_clock_is_right() {
    let (scene, clock) = (Scene::new(), WallClock::new());
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config(&scene));
    clock.give_to(&mut daemon);
    daemon.settle();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    clock.step_to(-TWO_HOURS);
    scene.authority.revoke("mallory");
    scene.serve_latest();
    daemon.wait_for("CRL rejected");
    for _ in 0..2 {
        daemon.crash();
        daemon.begin();
        daemon.wait_for("CRL rejected");
        daemon.wait_for("The previous CRL stays in force");
    }
    step(&clock, &daemon, 0);
    daemon.wait_for("\"new CRL in force\"");
    assert_eq!(scene.verdict(&daemon, &scene.client("mallory")), "revoked");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
}
