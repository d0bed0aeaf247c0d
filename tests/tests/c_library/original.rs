//! An app that was written for the original's library: the same source, the same results.

use std::fs;
use std::path::Path;
use std::process::Command;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::until;
use sknock_tests::{Config, Seen, World};

use crate::installed::{Linked, compiled};
use crate::run::{Ran, Scene, checked, plain};

/// Timeout in seconds, retries and verification; then what to open; then what the app prints.
fn knock(scene: &Scene<'_>, how: [&str; 3], what: [&str; 3]) -> Ran {
    knock_from(plain, scene, how, what)
}

fn knock_from(
    run: fn(&Path) -> Command,
    scene: &Scene<'_>,
    how: [&str; 3],
    what: [&str; 3],
) -> Ran {
    let mut app = run(&compiled("tests/c/original.c", Linked::AsOriginal));
    app.args(how).arg(scene.server()).arg(scene.identity()).args(what);
    scene.run(&mut app)
}

pub(crate) fn returning(code: i32) -> Ran {
    Ran::printing(&format!("init 0\nnew handle\nknock {code}\n"))
}

pub(crate) const GATEWAY: &str = "10.77.1.1";

#[test]
fn success_is_1_and_the_port_is_open() {
    let world = World::new();
    let scene = Scene::new(&world);
    assert_eq!([world.tcp(22), world.udp(53)], [Seen::each(Refused, Refused); 2]);
    for host in World::GATEWAY.map(|host| host.to_string()) {
        assert_eq!(knock(&scene, ["10", "3", "1"], [&host, "22", "tcp"]), returning(1));
        assert_eq!(knock(&scene, ["10", "3", "1"], [&host, "53", "udp"]), returning(1));
    }
    let [v4, _] = World::GATEWAY.map(|host| host.to_string());
    let ran = knock_from(checked, &scene, ["10", "3", "1"], [&v4, "22", "tcp"]);
    assert_eq!(ran, returning(1));
    // a UDP port is not verified, so it may open a moment later
    until("udp/53 is open", || world.udp(53) == Seen::each(Open, Refused));
    assert_eq!(world.tcp(22), Seen::each(Open, Refused));
}

#[test]
fn failure_is_0_after_as_many_knocks_as_retries() {
    let world = World::new();
    let scene = Scene::new(&world);
    // alice may not open it
    assert_eq!(knock(&scene, ["1", "3", "1"], [GATEWAY, "23", "tcp"]), returning(0));
    let knocks = || scene.daemon.times_said("10.77.1.2");
    until("three knocks are refused", || knocks() == 3);
    // trusted without verification, after one knock
    assert_eq!(knock(&scene, ["1", "3", "0"], [GATEWAY, "23", "tcp"]), returning(1));
    until("a fourth knock is refused", || knocks() == 4);
}

#[test]
fn what_cannot_be_tried_is_minus_1() {
    let world = World::new();
    let scene = Scene::new(&world);
    for protocol in ["tcp", "udp"] {
        let ran = knock(&scene, ["1", "3", "1"], ["no.such.host.invalid", "22", protocol]);
        assert_eq!(ran, returning(-1));
        // no route
        assert_eq!(knock(&scene, ["1", "3", "1"], ["192.0.2.1", "22", protocol]), returning(-1));
    }
}

#[test]
fn a_wrong_password_is_null_and_the_app_lives_on() {
    let world = World::new();
    let scene = Scene::new(&world);
    let mut app = checked(&compiled("tests/c/original.c", Linked::AsOriginal));
    app.args(["1", "1", "1"]).arg(scene.server()).arg(scene.identity());
    app.args([GATEWAY, "22", "tcp"]).env("PASSWORD", "wrong");
    assert_eq!(scene.run(&mut app), Ran::printing("init 0\nnew NULL\n"));
}

#[test]
fn defaults_are_found_in_the_originals_folder_or_in_ours() {
    let world = World::new();
    let scene = Scene::new(&world);
    let home = tempfile::tempdir().unwrap();
    let copy = |folder: &Path, identity: &str, server: &str| {
        fs::create_dir_all(folder).unwrap();
        fs::copy(scene.identity(), folder.join(identity)).unwrap();
        fs::copy(scene.server(), folder.join(server)).unwrap();
    };
    let original = home.path().join("original");
    copy(&original.join("client/certificates"), "devclient.pfx", "devserver.cer");
    copy(&home.path().join(".config/sknock"), "identity.pfx", "server.cer");
    let program = compiled("tests/c/original.c", Linked::AsOriginal);
    let app = || {
        let mut app = plain(&program);
        app.args(["default", GATEWAY, "22", "tcp"]);
        app
    };
    assert_eq!(scene.run(app().env("KNOCKPATH", &original)), returning(1));
    assert_eq!(scene.run(app().env("HOME", home.path())), returning(1));
    // The variable comes first, also when it is wrong.
    let nowhere = home.path().join("nowhere");
    let ran = scene.run(app().env("HOME", home.path()).env("KNOCKPATH", nowhere));
    assert_eq!(ran, Ran::printing("init 0\nnew NULL\n"));
    assert_eq!(scene.run(&mut app()), Ran::printing("init 0\nnew NULL\n"));
}

#[test]
fn the_environment_chooses_protocol_and_knock_port() {
    let world = World::new();
    let scene = Scene::new(&world);
    let knock = |protocol: &str, port: &str| {
        let mut app = plain(&compiled("tests/c/original.c", Linked::AsOriginal));
        app.args(["1", "1", "1"]).arg(scene.server()).arg(scene.identity());
        app.env("SKNOCK_PROTOCOL", protocol).env("SKNOCK_KNOCK_PORT", port);
        scene.run(app.args([GATEWAY, "22", "tcp"]))
    };
    let nothing = Ran::printing("init 0\nnew NULL\n");
    for (protocol, port) in [("v3", "62344"), ("", "62344"), ("v2", "0"), ("v2", "port")] {
        assert_eq!(knock(protocol, port), nothing, "{protocol} {port}");
    }
    // Servers know v1 only when told so.
    assert_eq!(knock("v1", "62344"), returning(0));
    scene.daemon.configure(&Config::new(&scene.authority).set("protocols", "v2, v1"));
    scene.daemon.reload();
    assert_eq!(knock("v1", "62345"), returning(0));
    assert_eq!(knock("v1", "62344"), returning(1));
}
