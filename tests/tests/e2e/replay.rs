//! A knock is good for once, ever: sent again it opens nothing, whatever happened in between.

use std::net::IpAddr;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Datagram, Echo, Namespace, Seen, World};

const CLOSED: Seen = Seen { client: [Refused; 2], stranger: [Refused; 2] };

/// A daemon that would still find a knock recent after a minute: a repetition is refused for being
/// one, not for its age. The first start waits for as long as clocks may differ, so that is short.
fn patient_daemon<'w>(world: &'w World, authority: &Authority) -> Daemon<'w> {
    let config = Config::new(authority);
    let daemon = Daemon::start(&world.gateway, &config);
    daemon.configure(&config.set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60"));
    daemon.reload();
    daemon
}

/// Knocks of `alice` at both addresses of the gateway, used up, with their doors closed again.
fn used_up(world: &World, alice: &Client<'_>) -> [(IpAddr, Datagram); 2] {
    let used = World::GATEWAY.map(|host| (host, alice.seal_for(&["tcp/22"], 2)));
    for (host, datagram) in &used {
        datagram.send(&world.client, *host).must_be_granted();
    }
    until("the doors close", || world.tcp(22) == CLOSED);
    used
}

/// Sends the datagram again and waits until the server has refused it as a repetition.
#[track_caller]
fn must_be_refused(daemon: &Daemon<'_>, from: &Namespace, (host, datagram): &(IpAddr, Datagram)) {
    let sent = datagram.send(from, *host);
    let line = daemon.wait_for(&format!("source={}", sent.source()));
    assert!(line.contains("refused") && line.contains("reason=\"repeated\""), "{line}");
}

/// Neither from its own address nor from anyone else's.
#[track_caller]
fn all_must_be_refused(world: &World, daemon: &Daemon<'_>, used: &[(IpAddr, Datagram); 2]) {
    for (index, one) in used.iter().enumerate() {
        must_be_refused(daemon, &world.client, one);
        let (_, datagram) = one;
        let from_elsewhere = datagram.send(&world.stranger, World::GATEWAY_TO_STRANGER[index]);
        let line = daemon.wait_for(&format!("source={}", from_elsewhere.source()));
        assert!(line.contains("refused"), "{line}");
    }
    assert_eq!(world.tcp(22), CLOSED);
    assert!(!world.gateway.table().unwrap().contains("elements"));
}

#[test]
fn a_repeated_datagram_is_refused_while_its_grant_lasts_and_after() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let daemon = patient_daemon(&world, &authority);
    let alice = Client::alice(&world.client, &authority);
    let used = used_up(&world, &alice);
    all_must_be_refused(&world, &daemon, &used);

    let open = (World::GATEWAY[0], alice.seal(&["tcp/22"]));
    open.1.send(&world.client, open.0).must_be_granted();
    must_be_refused(&daemon, &world.client, &open);
    assert_eq!(world.tcp(22), Seen { client: [Open, Refused], stranger: [Refused; 2] });
}

#[test]
fn the_same_datagram_is_refused_after_a_restart() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = patient_daemon(&world, &authority);
    let alice = Client::alice(&world.client, &authority);
    let used = used_up(&world, &alice);
    assert_eq!(daemon.stop().code, Some(0));
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    all_must_be_refused(&world, &daemon, &used);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
}

#[test]
fn the_same_datagram_is_refused_after_kill_9_of_both_processes() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = patient_daemon(&world, &authority);
    let alice = Client::alice(&world.client, &authority);
    let used = used_up(&world, &alice);
    daemon.crash();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    all_must_be_refused(&world, &daemon, &used);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
}

#[test]
fn a_datagram_that_waited_too_long_is_refused() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    let long = std::time::Duration::from_secs(3500); // of which the server reads low tags
    let late = alice.seal_with(&["tcp/22"], |wish| wish.stamp = wish.stamp.before(long));
    let early = alice.seal_with(&["tcp/22"], |wish| wish.stamp = wish.stamp.after(long));
    for (datagram, reason) in [(late, "stamp-too-old"), (early, "stamp-in-future")] {
        let sent = datagram.send(&world.client, World::GATEWAY[0]);
        let line = daemon.wait_for(&format!("source={}", sent.source()));
        assert!(line.contains(reason), "{line}");
    }
    assert_eq!(world.tcp(22), CLOSED);
}
