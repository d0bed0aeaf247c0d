//! Whatever the web server serves, the last good list stays: who is revoked stays out, who is not
//! gets in, and the log says what happened.

use std::time::Duration;

use sknock_protocol::Timestamp;
use sknock_tests::forge::{Forge, HOUR, List};
use sknock_tests::wait::now;
use sknock_tests::{Daemon, Page, Reply, Web, World};

use super::scene::Scene;

/// A server on whose list number 3 is `mallory`, but not `alice`.
pub(crate) fn stands_firm(test: impl FnOnce(&Scene, &Daemon<'_>, &dyn Fn(&str))) {
    let scene = Scene::new();
    scene.authority.publish(7);
    scene.authority.revoke("mallory");
    scene.serve_latest();
    let daemon = Daemon::start(&scene.world.gateway, &scene.config());
    let (alice, mallory) = (scene.client("alice"), scene.client("mallory"));
    let firm = |what: &str| {
        assert_eq!(scene.verdict(&daemon, &mallory), "revoked", "{what}");
        assert_eq!(scene.verdict(&daemon, &alice), "granted", "{what}");
    };
    firm("before");
    test(&scene, &daemon, &firm);
}

fn nobody(number: u64, made: Timestamp, due: Timestamp) -> List<'static> {
    List { number, made, due, revoked: &[] }
}

#[test]
fn a_bad_crl_changes_nothing_and_the_reason_is_logged() {
    stands_firm(|scene, daemon, firm| {
        let (forge, impostor) =
            (Forge::with_key_of(&scene.authority), Forge::impostor(&scene.authority));
        let (now, tomorrow) = (now(), now().after(24 * HOUR));
        let list = |reply: Vec<u8>| Reply::Page(Page::plain(reply));
        for (what, reply, said) in [
            ("forged", list(impostor.list(&nobody(9, now, tomorrow))), "forged"),
            (
                "another authority's",
                list(Forge::root("stranger").list(&nobody(9, now, tomorrow))),
                "not a trusted CA",
            ),
            ("older", list(forge.list(&nobody(2, now, tomorrow))), "number is lower"),
            ("earlier", list(forge.list(&nobody(3, now.before(HOUR), tomorrow))), "before"),
            (
                "expired",
                list(forge.list(&nobody(9, now.before(2 * HOUR), now.before(HOUR)))),
                "expired",
            ),
            ("future", list(forge.list(&nobody(9, now.after(HOUR), tomorrow))), "clocks"),
            ("garbage", list(b"<html>It works!</html>".into()), "not a CRL in DER"),
            ("empty", list(Vec::new()), "sent nothing"),
            ("endless", Reply::Endless, "larger than"),
            ("50 MB", list(vec![0x30; 50_000_000]), "not a CRL in DER"),
            ("404", Reply::Status(404), "404"),
            ("500", Reply::Status(500), "500"),
            ("no HTTP", Reply::Raw(b"SSH-2.0-OpenSSH\r\n".into()), "CRL fetch failed"),
            ("silent", Reply::Close, "CRL fetch failed"),
            ("circle", Reply::Raw(CIRCLE.into()), "redirect"),
        ] {
            scene.web.reply(reply);
            let mark = daemon.mark();
            daemon.reload();
            let line = daemon.wait_since(mark, "The previous CRL stays in force");
            assert!(line.contains("WARN") && line.contains(said), "{what}: {line}");
            firm(what);
        }
    });
}

/// To itself, again and again.
const CIRCLE: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: /crl.der\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

#[test]
fn knocks_and_reloads_work_while_the_web_server_is_silent_or_slow() {
    stands_firm(|scene, daemon, firm| {
        for reply in [Reply::Drip(scene.authority.crl(), Duration::from_secs(5)), Reply::Hang] {
            scene.web.reply(reply);
            let before = scene.web.requests().len();
            daemon.reload();
            scene.web.request(before);
            firm("slow");
        }
        daemon.wait_for("timed out. The previous CRL stays in force");
        firm("given up");
        scene.authority.revoke("alice");
        scene.serve_latest();
        daemon.reload();
        daemon.wait_for("\"number\":\"04\"");
    });
}

#[test]
fn a_web_server_that_is_gone_changes_nothing_even_after_kill_9() {
    let scene = Scene::new();
    scene.authority.revoke("mallory");
    let latest = Reply::Page(Page::plain(scene.authority.crl()));
    let web = Web::start(&scene.world.stranger, 8001, latest);
    let config = scene.config().set("crlUrl", &web.url(World::STRANGER[1], "/crl.der"));
    let mut daemon = Daemon::start(&scene.world.gateway, &config);
    drop(web);
    daemon.crash();
    daemon.begin();
    let line = daemon.wait_for("The previous CRL stays in force");
    assert!(line.contains("refused"), "{line}");
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(scene.verdict(&daemon, &scene.client("mallory")), "revoked");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
}
