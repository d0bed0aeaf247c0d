//! An administrator looks at what is open, and closes it.

use sknock_tests::forge::Forge;
use sknock_tests::wait::until;
use sknock_tests::{Client, Daemon, World, binaries};

use super::feed::Feed;
use super::scene::{ENDED, Scene, all_die, all_pass};

fn sknockd(scene: &Scene, arguments: &[&str]) -> Result<String, String> {
    let path = binaries::path("sknockd");
    scene.world.gateway.try_run(path.to_str().expect("a plain path"), arguments)
}

/// Mallory at ssh, alice at ssh and at another port, in both families.
fn busy(scene: &Scene) -> ([Feed; 2], [Feed; 2]) {
    scene.open("mallory", &["tcp/22", "udp/53"]);
    scene.open("alice", &["tcp/2222"]);
    (scene.tcp(22), scene.tcp(2222))
}

fn what_is_closed_stays_closed(scene: &Scene, daemon: &Daemon<'_>, close: impl Fn()) {
    let (ends, stays) = busy(scene);
    all_pass(ends.iter().chain(&stays));
    let mark = daemon.mark();
    close();
    daemon.wait_since(mark, "by=\"hand\"");
    daemon.wait_since(mark, ENDED);
    all_die(&ends);
    for disturb in ["reload", "flush"] {
        let mark = daemon.mark();
        if disturb == "reload" {
            daemon.reload();
        } else {
            scene.world.gateway.nft("flush ruleset");
            daemon.wait_since(mark, "another program removed table inet sknock");
        }
        all_die(&ends);
        assert!(scene.world.gateway.doors().iter().all(|door| door.port != 22), "{disturb}");
    }
    all_pass(&stays);
    // It is no revocation.
    drop(ends);
    scene.open("mallory", &["tcp/22"]);
    all_pass(&scene.tcp(22));
}

#[test]
fn what_sknockd_closes_ends_and_does_not_come_back() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    what_is_closed_stays_closed(&scene, &daemon, || {
        let said = sknockd(&scene, &["close", "--name", "mallory"]).unwrap();
        assert!(said.contains("closed: 4; already expired: 0; connections terminated: 2"));
        assert!(said.contains("tcp/22 from 10.77.1.2  mallory "), "{said}");
    });
}

#[test]
fn what_nft_closes_ends_and_does_not_come_back() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    what_is_closed_stays_closed(&scene, &daemon, || {
        let [v4, v6] = World::CLIENT;
        let delete = |set: &str, from: &str| {
            format!("delete element inet sknock {set} {{ {from} . tcp . 22 }}\n")
        };
        let both = delete("grant4", &v4.to_string()) + &delete("grant6", &v6.to_string());
        scene.world.gateway.nft(&both);
    });
}

#[test]
fn grants_are_listed_in_text_and_json_and_closed_by_listed_values() {
    let scene = Scene::new();
    assert_eq!(sknockd(&scene, &["grants"]).unwrap(), "no rules are loaded\n");
    let _daemon = scene.start(&scene.config());
    assert_eq!(sknockd(&scene, &["grants"]).unwrap(), "no active grants\n");
    scene.open("mallory", &["tcp/22"]);
    scene.open("alice", &["udp/53"]);
    let text = sknockd(&scene, &["grants"]).unwrap();
    assert!(text.contains("tcp/22 from 10.77.1.2 for ") && text.contains("  alice serial="));
    assert!(text.ends_with("4 active grants\n"), "{text}");

    let all: serde_json::Value =
        serde_json::from_str(&sknockd(&scene, &["grants", "--json"]).unwrap()).unwrap();
    let all = all.as_array().unwrap();
    let of = |name: &str, key: &str| -> String {
        let one = all.iter().find(|one| one["name"] == name).unwrap();
        one[key].as_str().unwrap().to_owned()
    };
    assert!(all.iter().all(|one| (590..=600).contains(&one["seconds"].as_u64().unwrap())));

    let close = |which: &[&str]| sknockd(&scene, &[&["close"], which].concat());
    let wrong = close(&["--knock", &of("alice", "knock"), "--name", "mallory"]).unwrap_err();
    assert!(wrong.contains("no grant matches"), "{wrong}");
    assert!(close(&["--knock", &of("alice", "knock")]).unwrap().contains("closed: 1;"));
    assert!(close(&["--serial", &of("mallory", "serial")]).unwrap().contains("closed: 2;"));
    assert!(close(&["--address", "fd77:1::2"]).unwrap().contains("closed: 1;"));
    assert!(close(&["--all"]).is_err());
    assert_eq!(scene.world.gateway.doors(), []);
}

#[test]
fn without_a_server_close_removes_grants_and_reports_that_none_runs() {
    let scene = Scene::new();
    let mut daemon = scene.start(&scene.config());
    scene.open("mallory", &["tcp/22"]);
    daemon.crash();
    let said = sknockd(&scene, &["close", "--all"]).unwrap();
    assert!(said.contains("closed: 2.") && said.contains("No server runs"), "{said}");
    assert_eq!(scene.world.gateway.doors(), []);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(scene.world.gateway.doors(), []);
}

/// Mallory's grants at ssh and mosh have ended, and the sessions go on; alice is let in at ssh, too, or not.
fn what_has_ended_is_closed(alice: bool, between: impl Fn(&mut Daemon<'_>), which: &[&str]) {
    let scene = Scene::new();
    let mut daemon = scene.start(&scene.config());
    scene.open_for("mallory", &["tcp/22", "udp/60001"], 2);
    let (talks, flows) = (scene.tcp(22), scene.udp(60001));
    until("the grants end", || scene.world.gateway.doors().is_empty());
    if alice {
        scene.open("alice", &["tcp/22"]);
    }
    between(&mut daemon);
    all_pass(talks.iter().chain(&flows));
    let mark = daemon.mark();
    let said = sknockd(&scene, &[&["close"], which].concat()).unwrap();
    assert!(said.contains("closed: 0; already expired: 4;"), "{said}");
    assert!(said.contains("udp/60001 from 10.77.1.2  mallory serial="), "{said}");
    assert!(said.contains(": expired already; connections terminated\n"), "{said}");
    assert_eq!(said.contains("expired already; connections continue"), alice, "{said}");
    daemon.wait_since(mark, ENDED);
    all_die(&flows);
    if alice {
        all_pass(&talks);
    } else {
        all_die(&talks);
    }
    // And there is nothing left to close.
    let again = sknockd(&scene, &["close", "--name", "mallory"]).unwrap_err();
    assert!(again.contains("no grant matches"), "{again}");
}

#[test]
fn closing_terminates_sessions_of_expired_grants() {
    let wait = |_: &mut Daemon<'_>| std::thread::sleep(std::time::Duration::from_secs(10));
    what_has_ended_is_closed(false, wait, &["--name", "mallory"]);
}

#[test]
fn closing_terminates_sessions_of_grants_that_expired_before_a_crash() {
    let restart = |daemon: &mut Daemon<'_>| {
        daemon.crash();
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
    };
    what_has_ended_is_closed(false, restart, &["--all"]);
}

#[test]
fn sessions_continue_where_another_certificate_has_a_grant() {
    what_has_ended_is_closed(true, |_| (), &["--name", "mallory"]);
}

#[test]
fn closing_one_of_two_certificates_keeps_the_shared_grant_of_the_other() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    scene.open_for("mallory", &["tcp/22"], 300);
    scene.open_for("alice", &["tcp/22"], 600);
    let talks = scene.tcp(22);
    let close = |who: &str| sknockd(&scene, &["close", "--name", who]).unwrap();
    assert!(close("mallory").contains("closed: 2; already expired: 0"));
    all_pass(&talks);
    assert_eq!(scene.world.gateway.doors().len(), 2);
    let mark = daemon.mark();
    assert!(close("alice").contains(": closed; connections terminated\n"));
    daemon.wait_since(mark, ENDED);
    all_die(&talks);
}

#[test]
fn a_manual_element_closes_too_and_an_unreachable_server_is_reported() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    scene.world.gateway.nft("add element inet sknock grant4 { 10.77.1.2 . tcp . 22 timeout 1h }");
    let said = sknockd(&scene, &["close", "--address", "10.77.1.2"]).unwrap();
    assert!(said.contains("closed in the kernel, unknown to the server: 1"), "{said}");
    assert_eq!(scene.world.gateway.doors(), []);
    scene.open("mallory", &["tcp/22"]);
    let socket = scene.world.gateway.inside(|| {
        sknock_gate::NamespaceLock::path(
            std::path::Path::new(sknock_gate::NamespaceLock::DIRECTORY),
            "control",
        )
    });
    std::fs::remove_file(socket.unwrap()).unwrap();
    let said = sknockd(&scene, &["close", "--name", "mallory"]).unwrap_err();
    assert!(
        said.contains("failed to close grants") && said.contains("Closed in the kernel: 2"),
        "{said}"
    );
    until("the server knows", || daemon.times_said("by=\"hand\"") > 0);
    assert_eq!(scene.world.gateway.doors(), []);
}

/// Names are compared as they stand on a door, where other letters are all alike.
#[test]
fn an_ambiguous_name_closes_nothing() {
    let scene = Scene::new();
    let _daemon = scene.start(&scene.config());
    let other = Forge::with_key_of(&scene.authority).client("\u{41e}\u{43b}\u{435}\u{433}", |_| ());
    let other = Client::alice(&scene.world.client, &scene.authority).posing_as(other.identity());
    let knock = other.seal_for(&["tcp/22"], 60);
    knock.send(&scene.world.client, World::GATEWAY[0]).must_be_granted();
    let long = "x".repeat(65);
    for name in ["\u{418}\u{432}\u{430}\u{43d}", "", "a b", &long] {
        let said = sknockd(&scene, &["close", "--name", name]).unwrap_err();
        assert!(said.contains("--serial"), "{said}");
        assert_eq!(scene.world.gateway.doors().len(), 1, "{name}");
    }
}
