//! Doors open, whatever stands around.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::Found::{Open, Refused, Silent};
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Namespace, Seen, World, reach};

use super::{POLICIES, config};

/// What is bound to any UDP port, as `ss` tells it.
fn bound(namespace: &Namespace) -> String {
    namespace.run("ss", &["-Hlun"])
}

fn open_in_both_families(world: &World, authority: &Authority, seconds: Option<u16>) {
    let alice = Client::alice(&world.client, authority);
    for host in World::GATEWAY {
        alice.answered(host, "tcp/22", |client| client.lifetime(seconds.and_then(NonZeroU16::new)));
    }
}

#[test]
fn copied_knocks_open_ports_under_every_policy_and_no_port_is_bound() {
    let authority = Authority::new();
    thread::scope(|scope| {
        for policy in POLICIES {
            let authority = &authority;
            scope.spawn(move || {
                let world = World::new();
                let _ssh = Echo::tcp(&world.gateway, 22);
                let _daemon = Daemon::start(&world.gateway, &config(authority, "nflog", policy));
                let closed = match policy {
                    ("none", _) => Open,
                    ("drop", _) => Silent,
                    _ => Refused,
                };
                assert_eq!(world.tcp(22), Seen::each(closed, closed), "{policy:?}");
                open_in_both_families(&world, authority, None);
                assert_eq!(world.tcp(22), Seen::each(Open, closed), "{policy:?}");
                assert_eq!(bound(&world.gateway), "", "{policy:?}");
            });
        }
    });
}

#[test]
fn knocks_by_socket_open_ports_and_the_knock_port_is_bound() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let _daemon = Daemon::start(&world.gateway, &config(&authority, "socket", ("reject", true)));
    open_in_both_families(&world, &authority, None);
    assert_eq!(world.tcp(22), Seen::each(Open, Refused));
    assert!(bound(&world.gateway).contains(":62344"));
}

/// A firewall that lets nothing in but what it must: the knock port is not in it.
const DEFAULT_DROP: &str = "
table inet filter { chain input { type filter hook input priority filter; policy drop;
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    tcp dport 22 accept
}
}";

/// Drops knocks where they arrive, but not before the kernel copies them.
const DROP_AFTER_COPYING: &str = "
table inet early {
    chain pre {
        type filter hook prerouting priority mangle;
        udp dport 62344 drop
    }
}";

#[test]
fn knocks_are_copied_although_another_firewall_drops_them_after_raw() {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.nft(DROP_AFTER_COPYING);
    let _daemon = Daemon::start(&world.gateway, &config(&authority, "nflog", ("reject", false)));
    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        alice.seal(&["tcp/22"]).send(&world.client, host).must_be_granted();
    }
}

#[test]
fn knocks_are_copied_although_another_firewall_drops_them_in_input() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    world.gateway.nft(DEFAULT_DROP);
    let _daemon = Daemon::start(&world.gateway, &config(&authority, "nflog", ("reject", false)));
    assert_eq!(world.tcp(22), Seen::each(Refused, Refused));
    open_in_both_families(&world, &authority, None);
    assert_eq!(world.tcp(22), Seen::each(Open, Refused));
    let probes = [62344, 62345].map(|port| world.udp(port));
    assert_eq!(probes, [Seen::each(Silent, Silent); 2], "it is as closed as ever");
}

#[test]
fn knocks_are_received_at_every_port_of_several_ranges() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let config = config(&authority, "nflog", ("drop", true)).set("knockPort", "10000-60000, 62344");
    let _daemon = Daemon::start(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    for port in [10000, 34567, 60000, 62344] {
        // Answered from there.
        alice.answered(World::GATEWAY[0], "tcp/22", |client| {
            client.knock_port(port).lifetime(NonZeroU16::new(1))
        });
    }
    for port in ["9999", "60001"] {
        let words = format!("{} tcp/22 --knock-port {port} --timeout 1", World::GATEWAY[0]);
        assert_ne!(alice.knock(&words).code, 0, "{port}");
    }
}

#[test]
fn a_knock_below_port_1024_opens_without_an_answer() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let config = config(&authority, "nflog", ("reject", true)).set("knockPort", "53");
    let daemon = Daemon::start(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    let ran = alice.open(World::GATEWAY[0], "tcp/22 --knock-port 53");
    assert_eq!(ran.report["verified"], "connection", "{ran:?}");
    let asked = daemon.ask("check", &[]);
    assert!(asked.answer.contains("below 1024 are granted but not answered"), "{asked:?}");
}

/// As over a tunnel whose maximum is small.
#[test]
fn a_knock_that_comes_in_parts_is_put_together_first() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &config(&authority, "nflog", ("drop", true)));
    world.client.run("ip", &["link", "set", "cl", "mtu", "700"]);
    let alice = Client::alice(&world.client, &authority);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert_eq!(daemon.times_said("packet ignored"), 0);
}

#[test]
fn datagrams_of_another_length_never_reach_the_network_process() {
    let (world, authority) = (World::new(), Authority::new());
    for intake in ["nflog", "socket"] {
        for policy in [("none", true), ("reject", false), ("drop", true)] {
            let config = config(&authority, intake, policy);
            let daemon = Daemon::start(&world.gateway, &config);
            let to = World::GATEWAY_TO_STRANGER[0];
            let socket = reach::udp_socket(&world.stranger, (to, 62344).into()).unwrap();
            for length in (0..1400).step_by(7).chain([DATAGRAM_LENGTH - 1, DATAGRAM_LENGTH + 1]) {
                // A refusal of the one before comes back as an error of the next.
                let _ = socket.send(&vec![7; length]);
            }
            let marker = reach::udp_socket(&world.stranger, (to, 62344).into()).unwrap();
            let junk = Client::alice(&world.stranger, &authority).tagged([7; DATAGRAM_LENGTH]);
            marker.send(&junk).unwrap();
            daemon.wait_for("not-veiled");
            assert_eq!(daemon.times_said("wrong-length"), 0, "{intake} {policy:?}");
        }
    }
}

#[test]
fn a_reload_can_change_how_knocks_come_in() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let of = |intake: &str| config(&authority, intake, ("reject", true));
    let daemon = Daemon::start(&world.gateway, &of("nflog"));
    let changes: [(Config, bool); 5] = [
        (of("socket"), true),
        (of("nflog"), false),
        (of("nflog").set("nflogGroup", "77"), false),
        (of("nflog"), false),
        (of("socket").set("workers", "1"), true),
    ];
    for (config, is_bound) in changes {
        daemon.configure(&config);
        daemon.reload();
        open_in_both_families(&world, &authority, Some(1));
        // The process before this one has closed its sockets with its end.
        until("the port is as it should be", || bound(&world.gateway).is_empty() != is_bound);
        let groups = world.gateway.run("cat", &["/proc/net/netfilter/nfnetlink_log"]);
        assert_eq!(groups.lines().count(), usize::from(!is_bound), "{groups}");
    }
}

/// Many in the time that a reload takes.
const BETWEEN_KNOCKS: Duration = Duration::from_millis(10);

fn no_knock_is_lost_over_three_reloads(intake: &str) {
    let (world, authority) = (World::new(), Authority::new());
    let config = config(&authority, intake, ("drop", true));
    let daemon = Daemon::start(&world.gateway, &config);
    // What waits while one process hands over to the next must not be too old then.
    daemon.configure(&config.set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60"));
    let alice = Client::alice(&world.client, &authority);
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let knocking = scope.spawn(|| {
            let mut sent = Vec::new();
            for host in World::GATEWAY.into_iter().cycle() {
                sent.push(alice.seal(&["tcp/22"]).send(&world.client, host));
                if done.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(BETWEEN_KNOCKS);
            }
            sent
        });
        (0..3).for_each(|_| daemon.reload());
        done.store(true, Ordering::Relaxed);
        knocking.join().unwrap()
    });
    for one in &sent {
        one.must_be_granted();
    }
    assert_eq!(daemon.times_said("reloading"), 3);
}

#[test]
fn no_copied_knock_is_lost_over_three_reloads() {
    no_knock_is_lost_over_three_reloads("nflog");
}

#[test]
fn no_knock_at_a_socket_is_lost_over_three_reloads() {
    no_knock_is_lost_over_three_reloads("socket");
}
