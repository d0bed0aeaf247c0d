//! A certificate is revoked while the server runs.

use std::process::Command;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::until;
use sknock_tests::{Daemon, Echo, Page, Reply, Seen, World, binaries};

use super::scene::Scene;

const CLIENT_ONLY: Seen = Seen { client: [Open; 2], stranger: [Refused; 2] };
const CLOSED: Seen = Seen { client: [Refused; 2], stranger: [Refused; 2] };

/// As its owner would do it.
fn revoke(scene: &Scene, name: &str) {
    let ran = Command::new(binaries::path("sknock-ca"))
        .arg("--dir")
        .arg(scene.authority.file(""))
        .args(["revoke", name])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn on_sighup_what_is_revoked_closes_at_once_and_is_refused_from_then_on() {
    let scene = Scene::new();
    let world = &scene.world;
    let _services = [22, 2222].map(|port| Echo::tcp(&world.gateway, port));
    let daemon = Daemon::start(&world.gateway, &scene.config());
    let (alice, mallory) = (scene.client("alice"), scene.client("mallory"));
    for host in World::GATEWAY {
        alice.open(host, "tcp/2222");
        mallory.open(host, "tcp/22");
    }
    assert_eq!([world.tcp(22), world.tcp(2222)], [CLIENT_ONLY; 2]);

    revoke(&scene, "mallory");
    scene.serve_latest();
    daemon.reload();
    until("the revoked client's doors close", || world.tcp(22) == CLOSED);
    assert_eq!(world.tcp(2222), CLIENT_ONLY, "another client's doors stay");
    let ran = mallory.knock(&format!("{} tcp/22 --attempts 1", World::GATEWAY[0]));
    assert_eq!((ran.code, ran.report["error"].as_str()), (1, Some("not-confirmed")), "{ran:?}");
    assert_eq!(scene.verdict(&daemon, &mallory), "revoked");
    assert_eq!(scene.verdict(&daemon, &alice), "granted");
    assert_eq!(world.tcp(22).client, [Open, Refused], "she knocked over IPv4");
}

/// Also after an answer whose validators match every later version, as somebody on the way may send once.
#[test]
fn the_server_fetches_a_new_crl_whatever_validators_it_got_before() {
    let scene = Scene::new();
    let world = &scene.world;
    let _ssh = Echo::tcp(&world.gateway, 22);
    scene.web.reply(Reply::Page(Page {
        bytes: scene.authority.crl(),
        etag: Some("*".into()),
        last_modified: Some("Thu, 01 Jan 2099 00:00:00 GMT".into()),
    }));
    let config = scene.config().set("CRL_UPDATE_INTERVAL_IN_MINUTES", "0.1");
    let daemon = Daemon::start(&world.gateway, &config);
    let mallory = scene.client("mallory");
    for host in World::GATEWAY {
        mallory.open(host, "tcp/22");
    }

    // The first for the start, the second as soon as all runs, the others an interval later.
    for request in [scene.web.request(0), scene.web.request(1)] {
        for condition in ["if-none-match", "if-modified-since"] {
            assert_eq!(request.header(condition), None);
        }
    }
    assert_eq!(world.tcp(22), CLIENT_ONLY, "what is unchanged changes nothing");

    revoke(&scene, "mallory");
    scene.web.reply(Reply::Page(Page {
        etag: Some("\"second\"".into()),
        ..Page::plain(scene.authority.crl())
    }));
    until("the revoked client's door closes", || world.tcp(22) == CLOSED);
    assert_eq!(scene.verdict(&daemon, &mallory), "revoked");
    assert_eq!(daemon.times_said("\"new CRL in force\""), 2);
}
