//! An administrator looks at what is open, and closes it.

use sknock_tests::{Daemon, World, binaries};

use crate::feed::Feed;
use crate::scene::{ENDED, Scene, all_die, all_pass};

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
            daemon.wait_since(mark, "another program removed our table");
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
        assert!(said.contains("closed: 4.") && said.contains("ends connections"), "{said}");
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
fn open_doors_are_listed_for_people_and_programs_and_closed_by_what_is_listed() {
    let scene = Scene::new();
    let _daemon = scene.start(&scene.config());
    assert_eq!(sknockd(&scene, &["grants"]).unwrap(), "nothing is open\n");
    scene.open("mallory", &["tcp/22"]);
    scene.open("alice", &["udp/53"]);
    let text = sknockd(&scene, &["grants"]).unwrap();
    assert!(text.contains("tcp/22 from 10.77.1.2 for ") && text.contains("  alice serial="));
    assert!(text.ends_with("4 doors are open\n"), "{text}");

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
    assert!(wrong.contains("nothing of that is open"), "{wrong}");
    assert!(close(&["--knock", &of("alice", "knock")]).unwrap().contains("closed: 1."));
    assert!(close(&["--serial", &of("mallory", "serial")]).unwrap().contains("closed: 2."));
    assert!(close(&["--address", "fd77:1::2"]).unwrap().contains("closed: 1."));
    assert!(close(&["--all"]).is_err());
    assert_eq!(scene.world.gateway.doors(), []);
}

#[test]
fn without_a_server_doors_close_and_whoever_closes_is_told_what_goes_on() {
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
