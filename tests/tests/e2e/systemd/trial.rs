//! Rules on trial, where the server has a user of its own and the administrator is root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Mounts, Seen, World};

use super::unit::as_the_unit;

const CLOSED: Seen = Seen { client: [Refused; 2], stranger: [Refused; 2] };
const EVERYBODY: Seen = Seen { client: [Open; 2], stranger: [Open; 2] };

#[test]
fn root_tries_out_and_confirms_what_the_units_user_runs() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [2222, 8080].map(|port| Echo::tcp(&world.gateway, port));
    let seen = || [2222, 8080].map(|port| world.tcp(port));
    let config = Config::new(&authority).set("protectedPorts", "tcp/22, tcp/2222");
    let mut daemon = as_the_unit(&world, &authority, &config);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    daemon.configure(&config.clone().set("protectedPorts", "tcp/22, tcp/8080"));
    for words in ["reload --confirm 600", "confirm"] {
        let asked = daemon.tell(words);
        assert_eq!(asked.code, Some(0), "{words}: {}", asked.errors);
        assert_eq!(seen(), [EVERYBODY, CLOSED], "{words}");
    }
    // It keeps what to go back to.
    daemon.configure(&config);
    assert_eq!(daemon.tell("reload --confirm 600").code, Some(0));
    assert_eq!(seen(), [CLOSED, EVERYBODY]);
    daemon.crash();
    daemon.begin();
    daemon.wait_for("Using the configuration from before the trial");
    daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(seen(), [EVERYBODY, CLOSED]);
}

#[test]
fn root_starts_by_hand_where_the_unit_has_run_and_closes_what_was_opened() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    // As the unit leaves its folder.
    let (mounts, run) = (Mounts::new(), Path::new(sknock_gate::NamespaceLock::DIRECTORY));
    mounts.disk(run, 1 << 20);
    mounts.inside(|| {
        fs::set_permissions(run, Permissions::from_mode(0o755)).unwrap();
        chown(run, Some(65_534), Some(65_534)).unwrap();
    });
    daemon.mount(mounts);
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    Client::alice(&world.client, &authority).open(World::GATEWAY[0], "tcp/22");
    let asked = daemon.tell("close --name alice");
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    assert!(asked.answer.contains("closed: 1; already expired: 0"), "{}", asked.answer);
    assert_eq!(daemon.times_said("annot"), 0);
    assert_eq!(daemon.times_said("cannot reach"), 0);
}
