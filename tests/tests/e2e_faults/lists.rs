//! Revocation lists that are torn, and disks that do not take new ones.

use std::fs;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::until;
use sknock_tests::{
    Authority, Client, Config, Daemon, Echo, Mounts, Page, Reply, Seen, Web, World,
};

const CLOSED: Seen = Seen { client: [Refused; 2], stranger: [Refused; 2] };

fn serve(world: &World, authority: &Authority) -> Web {
    Web::start(&world.stranger, 8000, Reply::Page(Page::plain(authority.crl())))
}

fn config(authority: &Authority, web: &Web) -> Config {
    Config::new(authority)
        .set("crlUrl", &web.url(World::STRANGER[0], "/crl.der"))
        .set("crlFile", "lists/crl.der")
}

#[track_caller]
fn is_refused(world: &World, daemon: &Daemon<'_>, revoked: &Client<'_>) {
    let sent = revoked.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
    let line = daemon.wait_for(&format!("source={}", sent.source()));
    assert!(line.contains("reason=\"revoked\""), "{line}");
}

#[test]
fn a_list_that_was_half_written_is_not_believed_and_fetched_anew() {
    let (world, authority) = (World::new(), Authority::new());
    authority.client("mallory", &Authority::ALLOWED);
    authority.revoke("mallory");
    let web = serve(&world, &authority);
    for length in [1, 100, authority.crl().len() - 1] {
        let mut daemon = Daemon::stopped(&world.gateway, &config(&authority, &web));
        daemon.settle();
        fs::create_dir(daemon.file("lists")).unwrap();
        std::os::unix::fs::chown(daemon.file("lists"), Some(65534), None).unwrap();
        fs::write(daemon.file("lists/crl.der"), &authority.crl()[..length]).unwrap();
        daemon.begin();
        daemon.wait_for("new revocation list in force");
        daemon.wait_for(Daemon::ACCEPTING);
        is_refused(&world, &daemon, &Client::named("mallory", &world.client, &authority));
        assert_eq!(fs::read(daemon.file("lists/crl.der")).unwrap(), authority.crl());
    }
}

#[test]
fn with_only_half_a_list_the_start_fails_and_the_firewall_stays_as_it_was() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority).set("crlFile", "crl.der");
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    fs::write(daemon.file("crl.der"), &authority.crl()[..100]).unwrap();
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
}

/// Whoever is revoked is shut out at once, written down or not; a later start fetches the list anew.
#[track_caller]
fn counts_without_a_disk(spoil: impl FnOnce(&Mounts, &std::path::Path)) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    authority.client("mallory", &Authority::ALLOWED);
    let web = serve(&world, &authority);
    let mut daemon = Daemon::stopped(&world.gateway, &config(&authority, &web));
    let (mounts, lists) = (Mounts::new(), daemon.file("lists"));
    mounts.disk(&lists, 64 * 1024);
    mounts.inside(|| std::os::unix::fs::chown(&lists, Some(65534), Some(65534))).unwrap();
    daemon.mount(mounts);
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let mallory = Client::named("mallory", &world.client, &authority);
    mallory.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert_eq!(world.tcp(22).client[0], Open);

    spoil(daemon.mounts(), &lists);
    authority.revoke("mallory");
    web.reply(Reply::Page(Page::plain(authority.crl())));
    let mark = daemon.mark();
    daemon.reload();
    daemon.wait_since(mark, "crlFile: cannot write");
    until("what the revoked client has open closes", || world.tcp(22) == CLOSED);
    let alice = Client::alice(&world.client, &authority).seal(&["tcp/22"]);
    alice.send(&world.client, World::GATEWAY[0]).must_be_granted();
    for _ in 0..2 {
        is_refused(&world, &daemon, &mallory);
        daemon.crash();
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        daemon.wait_for("new revocation list in force");
    }
}

#[test]
fn a_new_list_counts_though_the_disk_has_become_read_only() {
    counts_without_a_disk(Mounts::write_protect);
}

#[test]
fn a_new_list_counts_though_the_disk_is_full() {
    counts_without_a_disk(|mounts, lists| {
        let ballast = lists.join("ballast");
        mounts.inside(|| fs::write(ballast, vec![0; 1 << 20])).unwrap_err();
    });
}
