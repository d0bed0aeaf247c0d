//! Starting with the web server down, with lists of all ages, and with none.

use std::fs;
use std::time::Duration;

use sknock_protocol::Timestamp;
use sknock_tests::forge::{Forge, HOUR, List};
use sknock_tests::wait::{now, until};
use sknock_tests::{Config, Daemon, Reply};

use super::scene::Scene;

const OTHERS: &str = "table inet theirs {\nchain input {\ntype filter hook input priority 0\n}\n}";

#[test]
fn without_any_crl_the_start_fails_and_the_firewall_stays_as_it_was() {
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
fn a_crl_on_disk_is_enough_while_the_web_server_is_down() {
    let scene = Scene::new();
    let mut daemon = with_a_file(&scene, now().after(HOUR), &scene.config());
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    daemon.wait_for("503");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
    assert_eq!(daemon.times_said("the CRL expired"), 0);
}

/// The list from the web is the one of `crlFile`, so that nothing new comes into force by it.
#[test]
fn a_fetch_that_succeeds_after_failures_is_logged_once() {
    let scene = Scene::new();
    scene.web.reply(Reply::Status(503));
    let list = scene.authority.file("crl.der");
    let config = scene.config().set("crlFile", list.to_str().expect("plain names"));
    let daemon = Daemon::start(&scene.world.gateway, &config);
    daemon.wait_for("503");
    scene.serve_latest();
    let line = daemon.wait_for("CRL fetched again");
    let line: serde_json::Value = serde_json::from_str(&line).expect("the log is in JSON");
    assert_eq!(line["level"], "INFO");
    assert!(line["issuer"].as_str().is_some_and(|issuer| issuer.contains("CN=")), "{line}");
    assert_eq!(line["url"], scene.web.url(super::scene::WEB, "/crl.der"));
    assert_eq!(daemon.times_said("CRL fetched again"), 1);
    daemon.reload();
    until("it is fetched once more", || scene.web.requests().len() > 2);
    assert_eq!(daemon.times_said("CRL fetched again"), 1, "a reload fetches without failures");
}

/// Clients look at no list, and knock as before: the administrator has to know.
#[test]
fn a_crl_with_the_servers_own_certificate_is_logged_once() {
    let scene = Scene::new();
    let daemon = Daemon::start(&scene.world.gateway, &scene.config());
    let own = "the server's own certificate is revoked";
    assert_eq!(daemon.times_said(own), 0);
    scene.authority.revoke("gate");
    scene.serve_latest();
    daemon.reload();
    let line = daemon.wait_for(own);
    assert!(line.contains("WARN") && line.contains("serverPFXFile"), "{line}");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
    assert_eq!(daemon.times_said(own), 1);
}

#[test]
fn times_in_the_log_of_a_first_start_are_dates() {
    let scene = Scene::new();
    let config = scene.config().set("logFormat", "text");
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    daemon.begin();
    let year = &now().date()[..5];
    let mark = daemon.wait_for("new CRL high-water mark: number ");
    assert!(mark.contains(&format!("(made {year}")), "{mark}");
    let wait = daemon.wait_for("first start with this stateDir: knocks are accepted in ");
    assert!(wait.contains(&format!("(timestamp {year}")) && wait.contains("Z or later)"), "{wait}");
}

#[test]
fn an_expired_crl_is_used_in_its_grace_period_with_a_warning() {
    let scene = Scene::new();
    let mut daemon = with_a_file(&scene, now().before(2 * HOUR), &scene.config());
    daemon.begin();
    let warning = daemon.wait_for("the CRL expired 2 h ago");
    assert!(warning.contains("WARN") && warning.contains("165 h"), "{warning}");
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
}

#[test]
fn a_crl_past_its_grace_period_prevents_the_start() {
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
fn knocks_are_refused_when_the_crl_of_a_running_server_expires() {
    let scene = Scene::new();
    let config = scene.config().set("CRL_STALE_GRACE_IN_HOURS", "0");
    let mut daemon = with_a_file(&scene, now().after(Duration::from_secs(12)), &config);
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    let alice = scene.client("alice");
    assert_eq!(scene.verdict(&daemon, &alice), "granted");
    until("the list runs out", || scene.verdict(&daemon, &alice) == "revocation-unknown");
}
