//! A list that comes into force in a trial is not forgotten with the trial: clients that it revokes stay refused, also
//! if it could not be saved and the web server has an older one again.

use std::fs::{self, File};
use std::io::Write;

use sknock_tests::wait::until;
use sknock_tests::{Config, Daemon, Mounts, Page, Reply};

use super::scene::Scene;

/// What a refused list is told by.
const OLDER: &str = "it is older than one that was in force here";

/// Fetches every six seconds; `crlFile` has the first list.
fn config(scene: &Scene) -> Config {
    scene
        .config()
        .set("crlFile", "crl.der")
        .set("CRL_UPDATE_INTERVAL_IN_MINUTES", "0.1")
        .set("replayCapacity", "1000")
}

/// Writes to the disk under `stateDir` until nothing more fits.
fn fill(daemon: &Daemon<'_>) {
    daemon.mounts().inside(|| {
        let mut file = File::create(daemon.file("state/ballast")).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    });
}

/// Not running, with the first list in `crlFile`, and `stateDir` on a small disk.
fn stopped(scene: &Scene) -> Daemon<'_> {
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config(scene));
    fs::write(daemon.file("crl.der"), scene.authority.crl()).unwrap();
    let mounts = Mounts::new();
    mounts.disk(&daemon.file("state"), 512 * 1024);
    daemon.mount(mounts);
    daemon.settle();
    daemon
}

/// Revokes mallory while the server runs, which fetches that list.
#[track_caller]
fn revoke(scene: &Scene, daemon: &Daemon<'_>) {
    let mark = daemon.mark();
    scene.authority.revoke("mallory");
    scene.serve_latest();
    daemon.wait_since(mark, "\"new CRL in force\"");
    assert_eq!(scene.verdict(daemon, &scene.client("mallory")), "revoked");
}

fn unlink(daemon: &Daemon<'_>) {
    daemon.mounts().inside(|| fs::remove_file(daemon.file("state/crl.der")).unwrap());
}

#[test]
fn the_end_of_a_trial_undoes_no_revocation_of_its_time() {
    for lost in ["the disk is full", "it is removed"] {
        let scene = Scene::new();
        let first = scene.authority.crl();
        let mut daemon = stopped(&scene);
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        assert_eq!(scene.verdict(&daemon, &scene.client("mallory")), "granted");
        daemon.configure(&config(&scene).set("protectedPorts", "tcp/22, tcp/81"));
        if lost == "the disk is full" {
            fill(&daemon);
        }
        let mark = daemon.mark();
        assert_eq!(daemon.tell("reload --confirm 15").code, Some(0));
        daemon.wait_since(mark, "left to confirm");
        revoke(&scene, &daemon);
        if lost == "it is removed" {
            unlink(&daemon);
        }
        scene.web.reply(Reply::Page(Page::plain(first.clone())));
        let mark = daemon.mark();
        daemon.wait_since(mark, "rolled back to the previous configuration");
        until("a process with that configuration is up, or has failed", || {
            let ends = ["\"message\":\"protecting\"", "The previous configuration stays in force"];
            let said = daemon.said_since(mark);
            said.iter().any(|line| ends.iter().any(|end| line.contains(end)))
        });
        let verdicts =
            || ["alice", "mallory"].map(|who| scene.verdict(&daemon, &scene.client(who)));
        assert_eq!(verdicts(), ["granted", "revoked"], "{lost}");
        daemon.wait_since(mark, OLDER);
        // As soon as there is a list that counts, it runs with the configuration from before.
        scene.serve_latest();
        daemon.wait_since(mark, "\"message\":\"protecting\"");
        assert_eq!(verdicts(), ["granted", "revoked"], "{lost}");
    }
}

#[test]
fn after_kill_9_in_a_trial_and_after_a_first_trial_older_crls_are_refused() {
    for first_start in [false, true] {
        let scene = Scene::new();
        let first = scene.authority.crl();
        let mut daemon = stopped(&scene);
        if first_start {
            daemon.begin_with(&["--confirm", "14"]);
            daemon.wait_for("\"accepting knocks\"");
        } else {
            daemon.begin();
            daemon.wait_for("\"accepting knocks\"");
            daemon.configure(&config(&scene).set("protectedPorts", "tcp/22, tcp/81"));
            assert_eq!(daemon.tell("reload --confirm 60").code, Some(0));
            daemon.wait_for("left to confirm");
        }
        revoke(&scene, &daemon);
        if first_start {
            assert_eq!(daemon.wait_for_end().code, Some(75));
        } else {
            daemon.crash();
        }
        unlink(&daemon);
        scene.web.reply(Reply::Page(Page::plain(first)));
        daemon.begin();
        let ended = daemon.wait_for_end();
        assert_eq!(ended.code, Some(69), "first: {first_start}: {}", ended.said);
        assert!(ended.said.contains(OLDER), "{}", ended.said);
    }
}
