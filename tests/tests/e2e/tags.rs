//! Tags: what has none is sorted out by the kernel, and a client is never kept out by that for long.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use sknock_gate::{Request, Response};
use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::wait::{Stopwatch, until};
use sknock_tests::{
    Authority, Captive, Client, Config, Daemon, Echo, Found, WallClock, World, reach,
};

const JUNK: [u8; DATAGRAM_LENGTH] = [7; DATAGRAM_LENGTH];

fn send(world: &World, to: IpAddr, datagram: &[u8]) -> UdpSocket {
    let to = SocketAddr::new(to, DEFAULT_KNOCK_PORT);
    let socket = reach::udp_socket(&world.client, to).expect("a route to the gateway");
    socket.send(datagram).expect("a route to the gateway");
    socket
}

/// Whether the network process gets this. What it gets, it refuses, and logs it at TRACE; another datagram
/// that it must get marks the end.
fn is_captured(
    world: &World,
    daemon: &Daemon<'_>,
    alice: &Client<'_>,
    to: IpAddr,
    junk: &[u8],
) -> bool {
    let mark = daemon.mark();
    let asked = send(world, to, junk).local_addr().expect("it is bound");
    let last = send(world, to, &alice.tagged(JUNK)).local_addr().expect("it is bound");
    daemon.wait_since(mark, &format!("source={last}"));
    daemon.said_since(mark).iter().any(|line| line.contains(&format!("source={asked}")))
}

#[test]
fn untagged_datagrams_are_neither_captured_nor_tracked_and_knocks_work() {
    let ways = ["nflog", "socket"].into_iter().flat_map(|intake| {
        [("reject", ""), ("drop", ""), ("drop", "tcp/22"), ("none", "")].map(|way| (intake, way))
    });
    for (intake, (policy, protected)) in ways {
        let (world, authority) = (World::new(), Authority::new());
        let _ssh = Echo::tcp(&world.gateway, 22);
        world.gateway.track_connections();
        let config = Config::new(&authority)
            .set("intake", intake)
            .set("firewallPolicy", policy)
            .set("protectedPorts", protected);
        let daemon = Daemon::start_settled(&world.gateway, &config);
        let alice = Client::alice(&world.client, &authority);
        for to in World::GATEWAY {
            let what = format!("{intake}, {policy}, {protected}, {to}");
            assert!(!is_captured(&world, &daemon, &alice, to, &JUNK), "{what}");
            alice.open(to, "tcp/22");
        }
        let tracked = world.gateway.tracked_udp(DEFAULT_KNOCK_PORT);
        assert!(tracked.is_empty(), "{intake}, {policy}, {protected}: {tracked:?}");
    }
}

/// Where nothing is answered it goes no further than the chain `knocks`: conntrack is behind it.
#[test]
fn with_drop_untagged_datagrams_end_in_the_chain_of_knocks() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority).set("firewallPolicy", "drop").set("protectedPorts", "");
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    world.gateway.nft(
        "table inet counting {
            chain before { type filter hook prerouting priority -301; udp dport 62344 counter; }
            chain behind { type filter hook prerouting priority -299; udp dport 62344 counter; }
        }",
    );
    let count = |chain: &str| {
        let listed = world.gateway.run("nft", &["list", "chain", "inet", "counting", chain]);
        let (_, rest) = listed.split_once("packets ").expect("a counter");
        rest.split(' ').next().and_then(|word| word.parse::<u32>().ok()).expect("a number")
    };
    for to in World::GATEWAY {
        for _ in 0..50 {
            send(&world, to, &JUNK);
        }
    }
    until("all have arrived", || count("before") == 100);
    assert_eq!(count("behind"), 0);
}

/// Loads nothing and has the tags taken for complete for a second, in the name of the network process.
fn cease_to_renew(captive: &Captive) {
    let request = Request::LoadTags { count: 0, replace: false, seconds: 1 };
    let link = captive.links.last().expect("a link to the gate");
    let answer = Captive::ask(link, &request.encode().expect("it fits")).expect("an answer");
    assert_eq!(Response::decode(&answer), Some(Response::Tags));
}

/// As if it hung where it renews them: the kernel then captures everything, and somebody is told.
#[test]
fn if_tags_are_not_renewed_everything_is_captured_and_that_is_logged() {
    for (intake, policy) in [("nflog", "drop"), ("socket", "reject")] {
        let (world, authority) = (World::new(), Authority::new());
        let _ssh = Echo::tcp(&world.gateway, 22);
        let config = Config::new(&authority)
            .set("intake", intake)
            .set("firewallPolicy", policy)
            .set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60")
            .set("protectedPorts", "");
        let daemon = Daemon::start_settled(&world.gateway, &config);
        let alice = Client::alice(&world.client, &authority);
        assert!(!is_captured(&world, &daemon, &alice, World::GATEWAY[0], &JUNK));
        let captive = Captive::take_in_peace(daemon.network());
        let mark = daemon.mark();
        cease_to_renew(&captive);
        daemon.wait_since(mark, "the network process has not renewed the tags of knocks in time");
        // It finds all of that when it runs again.
        let sent = World::GATEWAY.map(|to| {
            let junk = send(&world, to, &JUNK).local_addr().expect("it is bound");
            (junk, alice.seal(&["tcp/22"]).send(&world.client, to))
        });
        captive.seem_at_work();
        captive.release();
        for (junk, knock) in sent {
            knock.must_be_granted();
            let line = daemon.wait_since(mark, &format!("source={junk}"));
            assert!(line.contains("reason=\"not-tagged\""), "{intake}: {line}");
        }
        // Another process, or the same within half a minute.
        kill(daemon.network(), Signal::SIGKILL).expect("it runs");
        daemon.wait_since(mark, "the tags of knocks are renewed");
        daemon.wait_since(mark, Daemon::ACCEPTING);
        assert!(!is_captured(&world, &daemon, &alice, World::GATEWAY[0], &JUNK));
        let told = daemon.said_since(mark);
        for line in ["has not renewed the tags", "the tags of knocks are renewed"] {
            assert_eq!(told.iter().filter(|said| said.contains(line)).count(), 1, "{line}");
        }
    }
}

#[test]
fn a_process_that_renews_its_tags_says_nothing_about_them() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let mark = daemon.mark();
    thread::sleep(Duration::from_secs(5));
    assert_eq!(daemon.said_since(mark), Vec::<String>::new());
    assert_eq!(daemon.times_said("tags"), 0);
}

/// By more than the tags reach that were loaded before.
#[test]
fn after_a_step_of_the_clock_tags_of_its_time_are_loaded_within_seconds() {
    const TWO_HOURS: i64 = 7200;
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    clock.give_to(&mut daemon);
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let alice = Client::alice(&world.client, &authority);
    let to = World::GATEWAY[0];
    alice.open(to, "tcp/22");
    let stepped = |seconds| {
        let mark = daemon.mark();
        let watch = Stopwatch::start();
        clock.step_to(seconds);
        daemon.wait_since(mark, "loaded the tags of knocks for its time");
        assert!(watch.span() < Duration::from_secs(5), "{:?}", watch.span());
    };
    stepped(TWO_HOURS);
    // The client's clock is right, and its tags are of another time.
    assert!(!is_answered(&alice, &world, 0));
    assert!(is_answered(&alice, &world, TWO_HOURS), "whose clock is as wrong");
    stepped(0);
    assert!(!is_answered(&alice, &world, TWO_HOURS));
    alice.open(to, "tcp/22");
}

/// Whether a knock is granted whose client's clock is ahead by this number of seconds.
fn is_answered(alice: &Client<'_>, world: &World, ahead: i64) -> bool {
    let by = Duration::from_secs(ahead.unsigned_abs());
    let knock = alice.seal_with(&["tcp/22"], |wish| wish.stamp = wish.stamp.after(by));
    knock.send(&world.client, World::GATEWAY[0]).answer(Duration::from_secs(2)).is_some()
}

#[test]
fn after_a_flush_the_table_has_its_tags_again() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    for change in
        ["flush ruleset", "flush set inet sknock knock_tags", "flush set inet sknock tags_loaded"]
    {
        let mark = daemon.mark();
        world.gateway.nft(change);
        daemon.wait_since(mark, "Restored it with all grants");
        for to in World::GATEWAY {
            assert!(!is_captured(&world, &daemon, &alice, to, &JUNK), "{change}");
            alice.open(to, "tcp/22");
        }
    }
}

/// The tags of the former key mean nothing any more, in the kernel either.
#[test]
fn a_new_key_of_the_server_has_tags_of_its_own() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    authority.server("gate-2");
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let key = authority.file("gate-2.pfx");
    let config = Config::new(&authority).set("serverPFXFile", key.to_str().expect("plain"));
    let client = || Client::alice(&world.client, &authority);
    let (former, new) = (client(), client().knocking_on(authority.server_certificate("gate-2")));
    let to = World::GATEWAY[0];
    let knock = |alice: &Client<'_>| alice.seal(&["tcp/22"]).send(&world.client, to);
    knock(&former).must_be_granted();
    assert!(!is_captured(&world, &daemon, &former, to, &new.tagged(JUNK)));

    // On trial, rolled back, and for good.
    daemon.configure(&config);
    let mark = daemon.mark();
    assert_eq!(daemon.tell("reload --confirm 5").code, Some(0));
    knock(&new).must_be_granted();
    assert!(!is_captured(&world, &daemon, &new, to, &former.tagged(JUNK)));
    daemon.wait_since(mark, "rolled back to the previous configuration");
    until("the former process serves again", || {
        knock(&former).answer(Duration::from_secs(1)).is_some()
    });
    assert!(!is_captured(&world, &daemon, &former, to, &new.tagged(JUNK)));
    let mark = daemon.mark();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_since(mark, Daemon::ACCEPTING);
    knock(&new).must_be_granted();
    assert!(!is_captured(&world, &daemon, &new, to, &former.tagged(JUNK)));
}

/// A router hands on what is for others, whatever it looks like.
#[test]
fn a_router_forwards_datagrams_of_a_knocks_length() {
    for policy in ["drop", "reject"] {
        let (world, authority) = (World::with_inner(), Authority::new());
        let _theirs = Echo::udp(world.inner(), DEFAULT_KNOCK_PORT);
        let config =
            Config::new(&authority).set("firewallPolicy", policy).set("protectedPorts", "");
        let _daemon = Daemon::start_settled(&world.gateway, &config);
        let [v4, v6] = World::GATEWAY;
        world.client.ip(&format!("route add default via {v4}\nroute add default via {v6}"));
        let to = SocketAddr::new(World::INNER[0], DEFAULT_KNOCK_PORT);
        let socket = reach::udp_socket(&world.client, to).expect("a route to it");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("not zero");
        socket.send(&JUNK).expect("a route to it");
        let mut heard = [0; DATAGRAM_LENGTH];
        assert!(socket.recv(&mut heard).is_ok(), "{policy}");
        assert_eq!(reach::udp(&world.client, to), Found::Open, "{policy}");
    }
}

/// What the server has loaded before it says that it protects.
#[test]
fn the_rules_are_loaded_with_their_tags() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    daemon.begin();
    until("the table is there", || world.gateway.table().is_some());
    let loaded = world.gateway.run("nft", &["list", "set", "inet", "sknock", "tags_loaded"]);
    assert!(loaded.contains("ipv4 timeout 2m"), "{loaded}");
    let tags = world.gateway.run("nft", &["list", "set", "inet", "sknock", "knock_tags"]);
    let count = tags.matches("expires").count();
    assert!((4 * 4096..32_000).contains(&count), "{count}");
    daemon.wait_for(Daemon::ACCEPTING);
}
