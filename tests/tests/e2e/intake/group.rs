//! The NFLOG group belongs to one program.

use sknock_tests::{Authority, Client, Daemon, Echo, World};

use super::{Policy, config};

const POLICY: Policy = ("reject", true);

#[test]
fn a_group_that_another_program_has_is_an_error_with_its_remedy() {
    let (world, authority) = (World::new(), Authority::new());
    let taken = world.gateway.inside(|| sknock_netfilter::nflog::bind_group(5344)).unwrap();
    let mut daemon = Daemon::stopped(&world.gateway, &config(&authority, "nflog", POLICY));
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains("nflogGroup: another program listens to NFLOG group 5344"));
    assert!(ended.said.contains("set another group"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None, "nothing is closed that nobody could open");
    drop(taken);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
}

#[test]
fn a_start_right_after_a_kill_waits_until_the_group_is_free() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let config = config(&authority, "nflog", POLICY);
    for _ in 0..5 {
        // Killed when dropped; its network process ends some time after it.
        drop(Daemon::start(&world.gateway, &config));
    }
    let _daemon = Daemon::start(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    alice.open(World::GATEWAY[0], "tcp/22");
}

#[test]
fn a_reload_into_a_taken_group_changes_nothing_and_there_is_a_way_back() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let config = config(&authority, "nflog", POLICY);
    let daemon = Daemon::start(&world.gateway, &config);
    let _taken = world.gateway.inside(|| sknock_netfilter::nflog::bind_group(77)).unwrap();
    let process = daemon.network();
    let fail = |group: &str, file: &str| {
        let config = config.clone().set("nflogGroup", group).set("serverPFXFile", file);
        daemon.configure(&config);
        let mark = daemon.mark();
        daemon.signal(nix::sys::signal::Signal::SIGHUP);
        daemon.wait_since(mark, "The previous configuration stays in force");
        assert_eq!(daemon.network(), process);
    };
    let pfx = authority.file("gate.pfx");
    fail("77", pfx.to_str().unwrap());
    // A group that is free, beside something else that is wrong: first in the parent, then in the
    // network process.
    fail("78", "none.pfx");
    let broken = daemon.file("broken.pfx");
    std::fs::write(&broken, "nonsense").unwrap();
    fail("78", broken.to_str().unwrap());
    let alice = Client::alice(&world.client, &authority);
    alice.open(World::GATEWAY[0], "tcp/22 --lifetime 1");

    daemon.configure(&config);
    daemon.reload();
    alice.open(World::GATEWAY[1], "tcp/22 --lifetime 1");
    let groups = world.gateway.run("cat", &["/proc/net/netfilter/nfnetlink_log"]);
    assert_eq!(groups.lines().count(), 2, "ours and the other one's, and not 78: {groups}");
}
