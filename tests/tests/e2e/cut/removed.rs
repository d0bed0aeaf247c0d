//! An authority is taken out of the configuration while its certificates have grants and connections.

use std::fs;

use sknock_tests::{Authority, Daemon, World};

use super::feed::Feed;
use super::scene::{ENDED, Scene, all_die, all_pass};

/// A certificate of `theirs` has tcp/22 and udp/53 open, one of the other authority tcp/2222.
fn started<'s>(scene: &'s Scene, theirs: &Authority) -> Daemon<'s> {
    let config = scene.without_list().set("caFile", "added.pem");
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    fs::copy(theirs.file("ca.pem"), daemon.file("added.pem")).expect("our folder");
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    scene.open("alice", &["tcp/2222"]);
    for host in World::GATEWAY {
        let carol = scene.client("alice").posing_as(theirs.identity("alice"));
        let knock = carol.seal_for(&["tcp/22", "udp/53"], 600);
        knock.send(&scene.world.client, host).must_be_granted();
    }
    daemon
}

fn all_of_theirs_ends(scene: &Scene, theirs: &[Feed; 4], ours: &[Feed; 2]) {
    all_die(theirs);
    all_pass(ours);
    let left = scene.world.gateway.doors();
    assert!(left.len() == 2 && left.iter().all(|door| door.what.contains("2222")), "{left:?}");
}

fn flows(scene: &Scene) -> ([Feed; 4], [Feed; 2]) {
    let (ssh, udp) = (scene.tcp(22), scene.udp(53));
    let ([a, b], [c, d]) = (ssh, udp);
    ([a, b, c, d], scene.tcp(2222))
}

#[test]
fn a_reload_without_a_ca_terminates_sessions_of_its_certificates() {
    let (scene, theirs) = (Scene::new(), Authority::new());
    let daemon = started(&scene, &theirs);
    let (their_flows, our_flows) = flows(&scene);
    all_pass(their_flows.iter().chain(&our_flows));
    let mark = daemon.mark();
    daemon.configure(&scene.without_list());
    daemon.reload();
    daemon.wait_since(mark, ENDED);
    all_of_theirs_ends(&scene, &their_flows, &our_flows);
}

#[test]
fn a_trial_without_a_ca_terminates_its_sessions_once_confirmed() {
    let (scene, theirs) = (Scene::new(), Authority::new());
    let daemon = started(&scene, &theirs);
    let (their_flows, our_flows) = flows(&scene);
    daemon.configure(&scene.without_list());
    let mark = daemon.mark();
    assert_eq!(daemon.tell("reload --confirm 60").code, Some(0));
    daemon.wait_since(mark, Daemon::ACCEPTING);
    all_pass(their_flows.iter().chain(&our_flows));
    assert_eq!(daemon.tell("confirm").code, Some(0));
    daemon.wait_since(mark, ENDED);
    all_of_theirs_ends(&scene, &their_flows, &our_flows);
}

#[test]
fn a_start_without_a_ca_terminates_sessions_of_its_certificates() {
    let (scene, theirs) = (Scene::new(), Authority::new());
    let mut daemon = started(&scene, &theirs);
    let (their_flows, our_flows) = flows(&scene);
    daemon.crash();
    all_pass(their_flows.iter().chain(&our_flows));
    daemon.configure(&scene.without_list());
    let mark = daemon.mark();
    daemon.begin();
    daemon.wait_since(mark, ENDED);
    all_of_theirs_ends(&scene, &their_flows, &our_flows);
}
