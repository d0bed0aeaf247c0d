//! Who holds what is known after both processes were killed: two certificates behind one address.

use sknock_tests::Daemon;

use super::feed::Feed;
use super::scene::{ENDED, Scene, all_die, all_pass};

fn restart(daemon: &mut Daemon<'_>) {
    daemon.crash();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
}

/// How many doors to this port are open.
fn doors(scene: &Scene, port: u64) -> usize {
    scene.world.gateway.doors().iter().filter(|door| door.port == port).count()
}

fn one_is_revoked_and_the_other_goes_on(mallory: u16, alice: u16) {
    let scene = Scene::new();
    let mut daemon = scene.start(&scene.config());
    scene.open_for("mallory", &["tcp/22", "udp/53", "tcp/2222"], mallory);
    scene.open_for("alice", &["tcp/22", "udp/53"], alice);
    let (shared, own) = ([scene.tcp(22), scene.udp(53)], scene.tcp(2222));
    all_pass(shared.iter().flatten().chain(&own));
    restart(&mut daemon);
    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    daemon.wait_since(mark, ENDED);
    all_die(&own);
    all_pass(shared.iter().flatten());
    assert_eq!([22, 53, 2222].map(|port| doors(&scene, port)), [2, 2, 0]);
    // Not mallory's time.
    let most = scene.world.gateway.doors().iter().filter_map(|door| door.left).max();
    assert!(most.unwrap() <= u64::from(alice));
    shared.iter().flatten().for_each(Feed::must_pass);
    // And once the other is revoked, too, it is over for both.
    let mark = daemon.mark();
    scene.revoke(&daemon, "alice");
    daemon.wait_since(mark, ENDED);
    all_die(shared.iter().flatten());
    assert_eq!(scene.world.gateway.doors(), []);
}

#[test]
fn after_a_restart_a_revocation_leaves_what_another_was_granted_for_less_time() {
    one_is_revoked_and_the_other_goes_on(600, 300);
}

#[test]
fn after_a_restart_a_revocation_leaves_what_another_was_granted_for_longer() {
    one_is_revoked_and_the_other_goes_on(300, 600);
}

#[test]
fn after_a_restart_a_session_ends_that_has_outlived_its_grant() {
    let scene = Scene::new();
    let mut daemon = scene.start(&scene.config());
    scene.open_for("mallory", &["tcp/22"], 3);
    let talks = scene.tcp(22);
    sknock_tests::wait::until("the grant ends", || scene.world.gateway.doors().is_empty());
    restart(&mut daemon);
    all_pass(&talks);
    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    daemon.wait_since(mark, ENDED);
    all_die(&talks);
}
