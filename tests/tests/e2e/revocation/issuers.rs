//! Several authorities, each with a list of its own at an address of its own.

use rcgen::SerialNumber;
use sknock_tests::Found::{Open, Refused};
use sknock_tests::forge::{Forge, HOUR, List, Made};
use sknock_tests::wait::{now, until};
use sknock_tests::{Daemon, Echo, Page, Reply, Web};

use super::scene::{Scene, WEB};

fn list(by: &Forge, number: u64, revoked: &[&[u8]]) -> Reply {
    let (made, due) = (now().before(HOUR), now().after(HOUR));
    Reply::Page(Page::plain(by.list(&List { number, made, due, revoked })))
}

fn client(of: &Forge, name: &str, serial: u8) -> Made {
    of.client(name, |params| params.serial_number = Some(SerialNumber::from_slice(&[serial])))
}

#[test]
fn a_root_and_an_intermediate_each_revoke_their_own_and_both_crls_stay() {
    let scene = Scene::new();
    let root = Forge::root("root");
    let below = root.intermediate("below");
    let roots = Web::start(&scene.world.stranger, 8001, list(&root, 1, &[]));
    let belows = Web::start(&scene.world.stranger, 8002, list(&below, 1, &[]));
    let urls = [&roots, &belows].map(|web| web.url(WEB, "/crl.der")).join(" ");
    let config = scene
        .config()
        .set("crlUrl", &urls)
        .set("caFile", "more.pem")
        .set("PORT_OPEN_DURATION_IN_SECONDS", "600");
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    std::fs::write(daemon.file("more.pem"), root.pem().to_owned() + below.pem()).unwrap();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    let [carol, dave] = [("carol", 5), ("dave", 6)].map(|(name, serial)| {
        scene.client("alice").posing_as(client(&below, name, serial).identity())
    });
    let verdicts = |daemon: &Daemon<'_>| [&carol, &dave].map(|who| scene.verdict(daemon, who));
    assert_eq!(verdicts(&daemon), ["granted", "granted"]);
    let unlisted = scene.verdict(&daemon, &scene.client("alice"));
    assert_eq!(unlisted, "revocation-unknown", "her authority has no list");

    belows.reply(list(&below, 2, &[&[5]]));
    daemon.reload();
    daemon.wait_for("\"revoked\":1");
    assert_eq!(verdicts(&daemon), ["revoked", "granted"]);

    // Both lists are on the disk: nobody is needed for the next start.
    roots.reply(Reply::Status(503));
    belows.reply(Reply::Status(503));
    daemon.crash();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(verdicts(&daemon), ["revoked", "granted"]);
    let checked = daemon.ask("check", &[]);
    assert_eq!(checked.code, Some(0), "{checked:?}");

    let world = &scene.world;
    let _ssh = Echo::tcp(&world.gateway, 22);
    assert_eq!(world.tcp(22).client[0], Open, "dave has knocked");
    roots.reply(list(&root, 2, &[&[Forge::INTERMEDIATE]]));
    daemon.reload();
    until("what is open below it closes", || world.tcp(22).client == [Refused; 2]);
    assert_eq!(verdicts(&daemon), ["revoked", "revoked"]);
}
