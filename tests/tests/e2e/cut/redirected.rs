//! Another program redirects a port that needs no grant to one that does: its own port decides, also about the end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use nix::sys::signal::Signal;
use sknock_tests::wait::once_free;
use sknock_tests::{Client, World, process};

use super::feed::Feed;
use super::scene::{ENDED, Scene, all_die, all_pass};

/// Ports that are not protected, to some that are.
const NAT: &str = "table inet nat {
    chain prerouting {
        type nat hook prerouting priority dstnat
        tcp dport 4444 redirect to :22
        udp dport 5555 redirect to :53
        ip daddr 10.77.1.1 tcp dport 4445 dnat ip to 10.77.1.1:2222
        ip6 daddr fd77:1::1 tcp dport 4445 dnat ip6 to [fd77:1::1]:2222
    }
}";

fn listener(scene: &Scene, port: u16) -> TcpListener {
    scene.world.gateway.inside(|| once_free(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))))
}

fn everything_ends(policy: &str) {
    let scene = Scene::new();
    let World { gateway, client, .. } = &scene.world;
    gateway.nft(NAT);
    let daemon = scene.start(&scene.config().set("firewallPolicy", policy));
    scene.open("mallory", &["tcp/22", "tcp/2222", "udp/53"]);
    let (ssh, other) = (listener(&scene, 22), listener(&scene, 2222));
    let by =
        |listener, port| World::GATEWAY.map(|host| Feed::accepted(listener, client, (host, port)));
    let (redirected, translated) = (by(&ssh, 4444), by(&other, 4445));
    let flows = World::GATEWAY.map(|host| Feed::udp(client, (host, 5555), gateway, 53));
    all_pass(redirected.iter().chain(&translated).chain(&flows));

    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    let line = daemon.wait_since(mark, ENDED);
    assert!(line.contains("terminated: 6;"), "{line}");
    all_die(redirected.iter().chain(&translated).chain(&flows));
    drop((redirected, translated, flows));

    scene.open("alice", &["tcp/22"]);
    all_pass(&by(&ssh, 4444));
}

#[test]
fn redirected_connections_end_with_their_grant_where_ports_are_rejected() {
    everything_ends("reject");
}

#[test]
fn redirected_connections_end_with_their_grant_where_ports_are_silent() {
    everything_ends("drop");
}

#[test]
fn a_connection_by_a_redirected_port_begun_in_a_gap_is_terminated() {
    let scene = Scene::new();
    let World { gateway, stranger, .. } = &scene.world;
    gateway.nft(NAT);
    let daemon = scene.start(&scene.config());
    let ssh = listener(&scene, 22);
    let mark = daemon.mark();
    process::stop(daemon.parent());
    gateway.nft("delete table inet sknock");
    let strangers =
        World::GATEWAY_TO_STRANGER.map(|host| Feed::accepted(&ssh, stranger, (host, 4444)));
    daemon.signal(Signal::SIGCONT);
    daemon.wait_since(mark, "another program removed table inet sknock");
    all_die(&strangers);
}

/// The host's own addresses are no client's: its programs reach its services without a grant.
#[test]
fn a_gap_terminates_no_connection_of_the_host_to_itself() {
    let scene = Scene::new();
    let World { gateway, .. } = &scene.world;
    let daemon = scene.start(&scene.config());
    let ssh = listener(&scene, 22);
    let own: [IpAddr; 4] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
        World::GATEWAY[0],
        World::GATEWAY[1],
    ];
    let mut sessions = Vec::new();
    for table in ["flush ruleset", "delete table inet sknock"] {
        sessions.extend(own.map(|host| Feed::accepted(&ssh, gateway, (host, 22))));
        let mark = daemon.mark();
        gateway.nft(table);
        daemon.wait_since(mark, "another program removed table inet sknock");
        all_pass(&sessions);
        all_pass(&own.map(|host| Feed::accepted(&ssh, gateway, (host, 22))));
    }
}

/// A grant for the host's own address, from a local user, ends and takes nothing else with it.
#[test]
fn a_revocation_terminates_no_connection_of_the_host_to_itself() {
    let scene = Scene::new();
    let World { gateway, .. } = &scene.world;
    let daemon = scene.start(&scene.config());
    let ssh = listener(&scene, 22);
    let local = Client::named("mallory", gateway, &scene.authority);
    for host in World::GATEWAY {
        local.seal_for(&["tcp/22"], 600).send(gateway, host).must_be_granted();
    }
    let sessions = World::GATEWAY.map(|host| Feed::accepted(&ssh, gateway, (host, 22)));
    scene.revoke(&daemon, "mallory");
    all_pass(&sessions);
    all_pass(&World::GATEWAY.map(|host| Feed::accepted(&ssh, gateway, (host, 22))));
}
