//! Another program removes the table, and strangers come in before it is back.

use std::net::{Ipv6Addr, TcpListener};

use nix::sys::signal::Signal;
use sknock_tests::wait::once_free;
use sknock_tests::{Authority, Client, Config, Daemon, World, process};

use super::feed::Feed;

/// Removes every table; whoever connects in `meanwhile` finds all ports open.
fn gap<T>(world: &World, daemon: &Daemon<'_>, nft: &str, meanwhile: impl FnOnce() -> T) -> T {
    let mark = daemon.mark();
    process::stop(daemon.parent());
    world.gateway.nft(nft);
    let happened = meanwhile();
    daemon.signal(Signal::SIGCONT);
    daemon.wait_since(mark, "another program removed table inet sknock");
    happened
}

#[test]
fn only_connections_begun_in_a_gap_that_lack_a_grant_are_terminated() {
    let (world, authority) = (World::new(), Authority::new());
    let World { gateway, client, stranger, .. } = &world;
    // Nobody tracks connections yet, as on a host without a stateful firewall.
    let ssh = gateway.inside(|| once_free(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, 22))));
    let old = World::GATEWAY.map(|host| Feed::accepted(&ssh, client, (host, 22)));
    let config = Config::new(&authority).set("protectedPorts", "tcp/22, tcp/2222, udp/53");
    let daemon = Daemon::start_settled(gateway, &config);
    let alice = Client::alice(client, &authority);
    for host in World::GATEWAY {
        alice.seal_for(&["tcp/2222", "udp/53"], 3600).send(client, host).must_be_granted();
    }
    let granted = World::GATEWAY.map(|host| Feed::tcp(client, (host, 2222), gateway));
    let flows = World::GATEWAY.map(|host| Feed::udp(client, (host, 53), gateway, 53));
    for _ in 0..5 {
        let strangers = gap(&world, &daemon, "flush ruleset", || {
            World::GATEWAY_TO_STRANGER.map(|host| Feed::accepted(&ssh, stranger, (host, 22)))
        });
        strangers.iter().for_each(Feed::must_be_dead);
        [&old, &granted, &flows].into_iter().flatten().for_each(Feed::must_pass);
    }
}

#[test]
fn udp_begun_in_a_gap_is_terminated_if_another_firewall_uses_conntrack() {
    const FLUSH: &str = "flush ruleset\ntable inet theirs {\nchain input {\n
        type filter hook input priority 0\nct state established accept\n}\n}\n";
    let (world, authority) = (World::new(), Authority::new());
    let World { gateway, stranger, .. } = &world;
    gateway.nft(FLUSH);
    let daemon = Daemon::start_settled(gateway, &Config::new(&authority));
    let strangers = gap(&world, &daemon, FLUSH, || {
        World::GATEWAY_TO_STRANGER.map(|host| Feed::udp(stranger, (host, 53), gateway, 53))
    });
    strangers.iter().for_each(Feed::must_be_dead);
    drop(strangers);
    let guest = Client::alice(stranger, &authority);
    for host in World::GATEWAY_TO_STRANGER {
        guest.seal(&["udp/53"]).send(stranger, host).must_be_granted();
        Feed::udp(stranger, (host, 53), gateway, 53).must_pass();
    }
}
