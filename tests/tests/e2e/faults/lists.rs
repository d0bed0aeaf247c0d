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
    Config::new(authority).set("crlUrl", &web.url(World::STRANGER[0], "/crl.der"))
}

#[track_caller]
fn is_refused(world: &World, daemon: &Daemon<'_>, revoked: &Client<'_>) {
    let sent = revoked.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
    let line = daemon.wait_for(&format!("source={}", sent.source()));
    assert!(line.contains("reason=\"revoked\""), "{line}");
}

#[test]
fn a_truncated_saved_crl_is_rejected_and_fetched_again() {
    let (world, authority) = (World::new(), Authority::new());
    authority.client("mallory", &Authority::ALLOWED);
    authority.revoke("mallory");
    let web = serve(&world, &authority);
    for length in [1, 100, authority.crl().len() - 1] {
        let mut daemon = Daemon::stopped(&world.gateway, &config(&authority, &web));
        daemon.settle();
        fs::write(daemon.file("state/crl.der"), &authority.crl()[..length]).unwrap();
        daemon.begin();
        daemon.wait_for("new CRL in force");
        daemon.wait_for(Daemon::ACCEPTING);
        is_refused(&world, &daemon, &Client::named("mallory", &world.client, &authority));
        assert_eq!(fs::read(daemon.file("state/crl.der")).unwrap(), authority.crl());
    }
}

#[test]
fn with_only_a_truncated_crl_the_start_fails_without_firewall_changes() {
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
#[test]
fn a_new_crl_is_in_force_although_it_cannot_be_saved() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    authority.client("mallory", &Authority::ALLOWED);
    let web = serve(&world, &authority);
    let mut daemon = Daemon::stopped(&world.gateway, &config(&authority, &web));
    daemon.mount(Mounts::new());
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let mallory = Client::named("mallory", &world.client, &authority);
    mallory.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert_eq!(world.tcp(22).client[0], Open);

    // What something is mounted on is not replaced, not even by root.
    let (saved, other) = (daemon.file("state/crl.der"), daemon.file("other"));
    fs::write(&other, authority.crl()).unwrap();
    daemon.mounts().replace(&saved, &other);
    authority.revoke("mallory");
    web.reply(Reply::Page(Page::plain(authority.crl())));
    let mark = daemon.mark();
    daemon.reload();
    daemon.wait_since(mark, "stateDir: cannot write");
    until("what the revoked client has open closes", || world.tcp(22) == CLOSED);
    let alice = Client::alice(&world.client, &authority).seal(&["tcp/22"]);
    alice.send(&world.client, World::GATEWAY[0]).must_be_granted();
    for _ in 0..2 {
        is_refused(&world, &daemon, &mallory);
        daemon.crash();
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        daemon.wait_for("new CRL in force");
    }
}
