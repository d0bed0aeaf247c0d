//! Starting with the web server down, with lists of all ages, and with none.

use std::fs;
use std::time::Duration;

use sknock_protocol::Timestamp;
use sknock_tests::forge::{Forge, HOUR, List};
use sknock_tests::wait::{now, until};
use sknock_tests::{Config, Daemon, Reply};

use crate::scene::Scene;

const OTHERS: &str = "table inet theirs {\nchain input {\ntype filter hook input priority 0\n}\n}";

#[test]
fn without_any_list_the_start_fails_and_the_firewall_stays_as_it_was() {
    let scene = Scene::new();
    let gateway = &scene.world.gateway;
    gateway.nft(OTHERS);
    let before = gateway.other_tables();
    scene.web.reply(Reply::Status(503));
    let mut daemon = Daemon::stopped(gateway, &scene.config());
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(
        ended.said.contains("503 Service Unavailable. No other CRL is available")
            && ended.said.contains("firewall was not changed"),
        "{}",
        ended.said
    );
    assert_eq!((gateway.table(), gateway.other_tables()), (None, before));

    // as soon as there is one, all is well
    scene.serve_latest();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
}

/// With the web server down, and a list in `crlFile` that revokes nobody and is due then.
fn with_a_file<'s>(scene: &'s Scene, due: Timestamp, config: &Config) -> Daemon<'s> {
    scene.web.reply(Reply::Status(503));
    let daemon = Daemon::stopped(&scene.world.gateway, &config.clone().set("crlFile", "list.der"));
    let list = List { number: 7, made: due.before(48 * HOUR), due, revoked: &[] };
    let list = Forge::with_key_of(&scene.authority).list(&list);
    fs::write(daemon.file("list.der"), list).unwrap();
    daemon
}

#[test]
fn a_list_on_disk_is_enough_while_the_web_server_is_down() {
    let scene = Scene::new();
    let mut daemon = with_a_file(&scene, now().after(HOUR), &scene.config());
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    daemon.wait_for("503");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
    assert_eq!(daemon.times_said("the CRL expired"), 0);
}

#[test]
fn a_list_past_its_end_counts_for_the_grace_and_the_log_warns() {
    let scene = Scene::new();
    let mut daemon = with_a_file(&scene, now().before(2 * HOUR), &scene.config());
    daemon.begin();
    let warning = daemon.wait_for("the CRL expired 2 h ago");
    assert!(warning.contains("WARN") && warning.contains("165 h"), "{warning}");
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
}

#[test]
fn a_list_past_its_grace_lets_nobody_in() {
    let scene = Scene::new();
    let config = scene.config().set("CRL_STALE_GRACE_IN_HOURS", "1");
    let mut daemon = with_a_file(&scene, now().before(2 * HOUR), &config);
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(
        ended.said.contains("grace period is over") && ended.said.contains("503"),
        "{}",
        ended.said
    );
}

#[test]
fn when_a_running_server_s_list_runs_out_knocks_are_refused() {
    let scene = Scene::new();
    let config = scene.config().set("CRL_STALE_GRACE_IN_HOURS", "0");
    let mut daemon = with_a_file(&scene, now().after(Duration::from_secs(12)), &config);
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    let alice = scene.client("alice");
    assert_eq!(scene.verdict(&daemon, &alice), "granted");
    until("the list runs out", || scene.verdict(&daemon, &alice) == "revocation-unknown");
}
