//! `sknockd run --confirm`.

use std::os::unix::net::UnixDatagram;

use sknock_tests::wait::{LIMIT, uninterrupted, until};
use sknock_tests::{Authority, Client, Config, Daemon, Echo, World, boots};

use super::{CLIENT_ONLY, CLOSED, EVERYBODY, LONG, SHORT, open};

/// On trial for so long, and it accepts knocks.
fn on_trial<'w>(world: &'w World, authority: &Authority, seconds: &str) -> Daemon<'w> {
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(authority));
    daemon.settle();
    daemon.begin_with(&["--confirm", seconds]);
    daemon.wait_for(" left to confirm");
    daemon.wait_for(Daemon::ACCEPTING);
    daemon
}

#[test]
fn an_unconfirmed_first_start_removes_the_rules_and_exits() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = on_trial(&world, &authority, SHORT);
    assert_eq!(world.tcp(22), CLOSED);
    open(&Client::alice(&world.client, &authority), "tcp/22");
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(75), "{}", ended.said);
    assert!(ended.said.contains("not confirmed in time: rules removed"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
    assert_eq!(world.tcp(22), EVERYBODY);
}

#[test]
fn with_both_processes_killed_the_kernel_opens_the_host_again() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = on_trial(&world, &authority, SHORT);
    daemon.crash();
    assert_eq!(world.tcp(22), CLOSED);
    until("the kernel opens the host alone", || world.tcp(22) == EVERYBODY);
    // Whoever starts it again and again with the same arguments does not close it again.
    daemon.begin_with(&["--confirm", LONG]);
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(75), "{}", ended.said);
    assert!(ended.said.contains("and its time is over: rules removed"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
    // A second attempt is one.
    daemon.begin_with(&["--confirm", LONG]);
    daemon.wait_for(" left to confirm");
    assert_eq!(world.tcp(22), CLOSED);
}

#[test]
fn confirmed_it_stays_beyond_the_time() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = on_trial(&world, &authority, SHORT);
    let asked = daemon.tell("confirm");
    assert_eq!((asked.code, asked.errors.as_str()), (Some(0), ""));
    assert!(asked.answer.contains("confirmed"), "{}", asked.answer);
    daemon.wait_for("confirmed; the new rules stay");
    // A door that is open for longer than the trial was: with it, the time has passed.
    open(&Client::alice(&world.client, &authority), "tcp/22 --lifetime 9");
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    until("the door closes", || world.tcp(22) == CLOSED);
    let table = world.gateway.table().unwrap();
    assert!(!table.contains("trial"), "{table}");
    assert!(!daemon.has_ended());
}

#[test]
fn a_restart_does_not_give_a_trial_more_time() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = on_trial(&world, &authority, SHORT);
    daemon.crash();
    // Far more than a test waits for anything.
    daemon.begin_with(&["--confirm", LONG]);
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(75), "{}", ended.said);
    assert_eq!(world.tcp(22), EVERYBODY);
}

#[test]
fn a_flush_and_a_restart_do_not_give_a_trial_more_time() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = on_trial(&world, &authority, SHORT);
    daemon.crash();
    world.gateway.nft("flush ruleset");
    daemon.begin_with(&["--confirm", LONG]);
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(75), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
    // A second attempt is one.
    daemon.begin_with(&["--confirm", LONG]);
    daemon.wait_for("on trial, 600 s left to confirm");
}

#[test]
fn a_ruleset_that_was_saved_in_a_trial_is_no_trial_after_the_next_boot() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    daemon.settle();
    let _folder = boots::on_a_disk(&mut daemon);
    daemon.begin_with(&["--confirm", SHORT]);
    daemon.wait_for(Daemon::ACCEPTING);
    let saved = daemon.file("saved.nft");
    std::fs::write(&saved, world.gateway.try_run("nft", &["list", "ruleset"]).unwrap()).unwrap();
    daemon.crash();
    boots::boot_again(&daemon, false);
    world.gateway.nft("flush ruleset");
    world.gateway.try_run("nft", &["-f", saved.to_str().unwrap()]).unwrap();
    daemon.begin_with(&["--confirm", LONG]);
    daemon.wait_for("on trial, 600 s left to confirm");
    assert_eq!(daemon.tell("confirm").code, Some(0));
}

#[test]
fn a_restarted_trial_can_be_confirmed() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = on_trial(&world, &authority, LONG);
    daemon.crash();
    let asked = daemon.tell("confirm");
    assert_eq!(asked.code, Some(69), "{}", asked.errors);
    assert!(asked.errors.contains("no sknockd runs"), "{}", asked.errors);
    assert!(asked.errors.contains("expires in"), "{}", asked.errors);
    daemon.begin_with(&["--confirm", LONG]);
    daemon.wait_for("died during a trial: the trial continues");
    daemon.wait_for(" left to confirm");
    assert_eq!(daemon.tell("confirm").code, Some(0));
    assert_eq!(world.tcp(22), CLOSED);
}

#[test]
fn a_start_without_a_trial_ends_one() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = on_trial(&world, &authority, LONG);
    assert!(world.gateway.table().unwrap().contains("trial"));
    daemon.crash();
    daemon.begin();
    daemon.wait_for("protecting");
    assert!(!world.gateway.table().unwrap().contains("trial"));
}

#[test]
fn a_flush_in_a_trial_is_undone_and_the_trial_continues() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = on_trial(&world, &authority, SHORT);
    open(&Client::alice(&world.client, &authority), "tcp/22");
    let left = || world.gateway.left_of_trial();
    until("some of it is over", || left().is_some_and(|left| left <= 6));
    world.gateway.nft("flush ruleset");
    daemon.wait_for("Restored it with all grants");
    assert!(left().is_some_and(|left| left <= 6), "{:?} s are left", left());
    let table = world.gateway.table().unwrap();
    assert!(table.contains("goto trial") && table.contains("n=alice"), "{table}");
    assert_eq!(daemon.wait_for_end().code, Some(75));
    assert_eq!(world.tcp(22), EVERYBODY);
}

#[test]
fn an_order_to_stop_is_no_confirmation() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = on_trial(&world, &authority, LONG);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("before the trial was confirmed"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
    assert_eq!(world.tcp(22), EVERYBODY);
}

#[test]
fn a_dead_network_process_is_replaced_and_the_trial_continues() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let daemon = on_trial(&world, &authority, LONG);
    let mark = daemon.mark();
    nix::sys::signal::kill(daemon.network(), nix::sys::signal::Signal::SIGKILL).unwrap();
    daemon.wait_since(mark, Daemon::ACCEPTING);
    assert!(world.gateway.table().unwrap().contains("goto trial"));
    open(&Client::alice(&world.client, &authority), "tcp/22");
    assert_eq!(daemon.tell("confirm").code, Some(0));
}

#[test]
fn the_remaining_time_of_a_trial_is_reported_to_systemd() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let path = daemon.file("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let told = || {
        let mut message = [0; 4096];
        let length = uninterrupted(|| systemd.recv(&mut message)).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    daemon.export("NOTIFY_SOCKET", path.to_str().unwrap());
    daemon.begin_with(&["--confirm", LONG]);
    let ready = told();
    assert!(ready.contains("READY=1\n") && ready.contains("on trial, 600 s left"), "{ready}");
    until("it counts down", || told().contains("STATUS=on trial, 599 s left"));
    assert_eq!(daemon.tell("confirm").code, Some(0));
    until("it is over", || told().contains("STATUS=protecting"));
}
