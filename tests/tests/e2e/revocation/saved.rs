//! A list that the administrator has put there, and newer ones that are fetched: each start goes by
//! the newer.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sknock_tests::wait::until;
use sknock_tests::{Config, Daemon, Mounts, Page, Reply, Web};

use super::scene::{Scene, WEB};

/// As the README has it in step 2: the list lies beside the configuration, in root's folder.
fn as_in_the_readme(scene: &Scene) -> (Daemon<'_>, Config) {
    let config = scene.config().without("crlUrl").set("crlFile", "crl.der");
    let daemon = Daemon::stopped(&scene.world.gateway, &config);
    fs::write(daemon.file("crl.der"), scene.authority.crl()).unwrap();
    let folder = fs::metadata(daemon.file("")).unwrap();
    assert_eq!((folder.uid(), folder.mode() & 0o022), (0, 0), "nobody else may write there");
    (daemon, config)
}

#[test]
fn a_fetched_revocation_survives_a_web_server_outage_and_a_crash() {
    let scene = Scene::new();
    let page = || Reply::Page(Page::plain(scene.authority.crl()));
    let (mut daemon, config) = as_in_the_readme(&scene);
    let first = scene.authority.crl();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    let (alice, mallory) = (scene.client("alice"), scene.client("mallory"));
    assert_eq!(scene.verdict(&daemon, &mallory), "granted");

    // Step 7: it is published and named in crlUrl. Then somebody is revoked.
    let web = Web::start(&scene.world.stranger, 8001, page());
    daemon.configure(&config.set("crlUrl", &web.url(WEB, "/crl.der")));
    daemon.reload();
    scene.authority.revoke("mallory");
    web.reply(page());
    let mark = daemon.mark();
    daemon.reload();
    daemon.wait_since(mark, "\"new CRL in force\"");
    assert_eq!(scene.verdict(&daemon, &mallory), "revoked");

    drop(web);
    daemon.crash();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(scene.verdict(&daemon, &mallory), "revoked");
    assert_eq!(scene.verdict(&daemon, &alice), "granted");
    assert_eq!(daemon.times_said("rejected"), 0, "that the first list is older is no fault");
    assert_eq!(fs::read(daemon.file("crl.der")).unwrap(), first, "it is the administrator's");

    let checked = daemon.ask("check", &[]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!checked.answer.contains("crlFile"), "{}", checked.answer);

    // Without crlUrl, too; and a list that is put there by hand counts if it is newer.
    daemon.configure(&scene.config().without("crlUrl").set("crlFile", "crl.der"));
    daemon.reload();
    assert_eq!(scene.verdict(&daemon, &mallory), "revoked");
    scene.authority.revoke("alice");
    fs::write(daemon.file("crl.der"), scene.authority.crl()).unwrap();
    daemon.crash();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(scene.verdict(&daemon, &mallory), "revoked");
    assert_eq!(scene.verdict(&daemon, &alice), "revoked");
}

/// Puts something else in its place.
type Spoil = fn(&Path);

#[test]
fn an_obstacle_in_place_of_the_saved_crl_does_not_prevent_a_start() {
    let scene = Scene::new();
    let spoils: [(&str, Spoil); 4] = [
        ("junk", |place| fs::write(place, "junk").unwrap()),
        ("a folder", |place| fs::create_dir(place).unwrap()),
        ("a link", |place| std::os::unix::fs::symlink("/etc/passwd", place).unwrap()),
        ("a pipe", |place| {
            nix::unistd::mkfifo(place, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
    ];
    for (what, spoil) in spoils {
        let (mut daemon, _) = as_in_the_readme(&scene);
        daemon.settle();
        spoil(&daemon.file("state/crl.der"));
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted", "{what}");
        assert_eq!(daemon.stop().code, Some(0), "{what}");
    }
}

/// Room for the files of 1,000 knocks, and a little.
const SMALL: u64 = 512 * 1024;

/// The web server is gone when the list is needed again.
#[test]
fn a_crl_that_did_not_fit_on_the_disk_is_saved_once_there_is_space() {
    let scene = Scene::new();
    let config = scene.config().set("replayCapacity", "1000");
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    let (mounts, state) = (Mounts::new(), daemon.file("state"));
    mounts.disk(&state, SMALL);
    daemon.mount(mounts);
    daemon.settle();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    let ballast = state.join("ballast");
    daemon.mounts().inside(|| {
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    });
    let mark = daemon.mark();
    scene.authority.revoke("mallory");
    scene.serve_latest();
    daemon.reload();
    daemon.wait_since(mark, "\"new CRL in force\"");
    daemon.wait_since(mark, "cannot write");
    let saved = || daemon.mounts().inside(|| fs::read(state.join("crl.der")).ok());
    assert_ne!(saved(), Some(scene.authority.crl()));

    daemon.mounts().inside(|| fs::remove_file(&ballast)).unwrap();
    until("the list is saved", || saved() == Some(scene.authority.crl()));
    scene.web.reply(Reply::Status(503));
    daemon.crash();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(scene.verdict(&daemon, &scene.client("mallory")), "revoked");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
}
