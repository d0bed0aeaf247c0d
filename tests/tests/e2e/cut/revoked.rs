//! A certificate is revoked, or what it was granted is forbidden, while its connections live.

use sknock_tests::wait::until;
use sknock_tests::{Daemon, World};

use super::feed::Feed;
use super::scene::{ENDED, Scene, all_die, all_pass};

fn everything_ends(policy: &str, zones: &str) {
    let scene = Scene::new();
    scene.world.gateway.nft(zones);
    let daemon = scene.start(&scene.config().set("firewallPolicy", policy));
    scene.open("mallory", &["tcp/22", "tcp/2222", "udp/53"]);
    scene.open("alice", &["tcp/22"]);
    let (shared, own, flows) = (scene.tcp(22), scene.tcp(2222), scene.udp(53));
    all_pass(shared.iter().chain(&own).chain(&flows));

    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    let line = daemon.wait_since(mark, ENDED);
    assert!(line.contains("terminated: 4;") && line.contains("10.77.1.2 to tcp/2222"), "{line}");
    all_die(own.iter().chain(&flows));
    if policy == "reject" {
        own.iter().for_each(Feed::must_end);
    }
    all_pass(&shared);
    // And it stays so, whatever happens to the table.
    let mark = daemon.mark();
    scene.world.gateway.nft("flush ruleset");
    daemon.wait_since(mark, "another program removed table inet sknock");
    all_die(&flows);
    all_pass(&shared);

    drop((own, flows));
    scene.open("alice", &["tcp/2222", "udp/53"]);
    all_pass(scene.tcp(2222).iter().chain(&scene.udp(53)));
}

#[test]
fn all_sessions_of_a_revoked_certificate_end_where_ports_are_rejected() {
    everything_ends("reject", "");
}

#[test]
fn all_sessions_of_a_revoked_certificate_end_where_ports_are_silent() {
    everything_ends("drop", "");
}

/// Another table keeps the host's connections apart.
#[test]
fn all_sessions_of_a_revoked_certificate_end_in_a_conntrack_zone() {
    let zones = "table inet zones {
        chain prerouting { type filter hook prerouting priority raw; ct zone set 5; }
        chain output { type filter hook output priority raw; ct zone set 5; }
    }";
    everything_ends("reject", zones);
}

#[test]
fn a_revocation_ends_a_session_that_has_outlived_its_grant() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    scene.open_for("mallory", &["tcp/22", "udp/60001"], 3);
    let (talks, flows) = (scene.tcp(22), scene.udp(60001));
    until("the grant ends", || scene.world.gateway.doors().is_empty());
    all_pass(talks.iter().chain(&flows));
    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    daemon.wait_since(mark, ENDED);
    all_die(talks.iter().chain(&flows));
}

#[test]
fn with_on_revoke_close_sessions_continue() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config().set("onRevoke", "close"));
    scene.open("mallory", &["tcp/22", "udp/53"]);
    let (talks, flows) = (scene.tcp(22), scene.udp(53));
    scene.revoke(&daemon, "mallory");
    until("the doors close", || scene.world.gateway.doors().is_empty());
    all_pass(talks.iter().chain(&flows));
    assert_eq!(daemon.times_said(ENDED), 0);
}

#[test]
fn a_reload_terminates_what_it_forbids_and_keeps_what_it_allows() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    scene.open("alice", &["tcp/22", "udp/53"]);
    let (talks, flows) = (scene.tcp(22), scene.udp(53));
    daemon.configure(&scene.config().set("allowedServices", "tcp/22"));
    let mark = daemon.mark();
    daemon.reload();
    daemon.wait_since(mark, ENDED);
    all_die(&flows);
    all_pass(&talks);
}

#[test]
fn sessions_that_a_trial_forbids_end_once_it_is_confirmed() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    scene.open("alice", &["tcp/22", "udp/53"]);
    let (talks, flows) = (scene.tcp(22), scene.udp(53));
    daemon.configure(&scene.config().set("allowedServices", "tcp/22"));
    assert_eq!(daemon.tell("reload --confirm 60").code, Some(0));
    until("the grant of udp/53 is gone", || scene.world.gateway.doors().len() == 2);
    all_pass(talks.iter().chain(&flows));
    let mark = daemon.mark();
    assert_eq!(daemon.tell("confirm").code, Some(0));
    daemon.wait_since(mark, ENDED);
    all_die(&flows);
    all_pass(&talks);
}

#[test]
fn a_blocklist_entry_outlives_the_server_and_ends_with_a_new_grant() {
    let scene = Scene::new();
    let mut daemon = scene.start(&scene.config());
    scene.open("mallory", &["udp/53"]);
    let flows = scene.udp(53);
    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    daemon.wait_since(mark, ENDED);
    daemon.crash();
    all_die(&flows);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    all_die(&flows);
    drop(flows);
    scene.open("alice", &["udp/53"]);
    all_pass(&scene.udp(53));
}

#[test]
fn sessions_to_a_published_port_end_by_the_dialled_port() {
    let scene = Scene::within(World::with_inner());
    let World { client, gateway, .. } = &scene.world;
    gateway.nft(
        "table ip nat {\nchain prerouting {\ntype nat hook prerouting priority dstnat\n
         fib daddr type local tcp dport 8080 dnat to 10.77.3.2:80\n
         fib daddr type local udp dport 60000 dnat to 10.77.3.2\n}\n
         chain postrouting {\ntype nat hook postrouting priority srcnat\n
         ip saddr 10.77.3.0/24 masquerade\n}\n}\n",
    );
    let daemon = scene.start(&scene.config());
    let host = World::GATEWAY[0];
    scene.open("mallory", &["udp/60000"]);
    let flow = Feed::udp(client, (host, 60000), scene.world.inner(), 60000);
    flow.must_pass();
    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    daemon.wait_since(mark, ENDED);
    flow.must_be_dead();
}
