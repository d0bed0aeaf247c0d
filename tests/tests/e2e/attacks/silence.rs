//! Whoever may not knock hears nothing: no answer, no error, whatever the reason.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_protocol::v2::{DATAGRAM_LENGTH, KnockRequest};
use sknock_tests::forge::Forge;
use sknock_tests::wait::{Stopwatch, until};
use sknock_tests::{Authority, Chance, Client, Config, Daemon, Namespace, World, reach};

use super::thief;

/// Counts what comes from the gateway, but for the neighbours' own talk that IPv6 cannot do without.
const WIRETAP: &str = "table inet wiretap {
    counter heard { }
    chain input {
        type filter hook input priority -400
        iif lo return
        icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } return
        counter name heard
    }
}";

fn heard(namespace: &Namespace) -> u64 {
    let listing = namespace.run("nft", &["list", "counter", "inet", "wiretap", "heard"]);
    let packets = listing.split_once("packets ").expect("a counter").1;
    packets.split(' ').next().unwrap().parse().expect("a number")
}

/// A reason of the log, and what makes a datagram that is refused for it. Made just before it is sent: on a busy machine
/// all of them together take longer than the window.
type Refused<'a> = (&'static str, Box<dyn Fn() -> [u8; DATAGRAM_LENGTH] + 'a>);

/// What the server would not grant.
fn refused<'a>(world: &'a World, authority: &'a Authority) -> [Refused<'a>; 5] {
    let alice = || Client::alice(&world.client, authority);
    let late = |wish: &mut KnockRequest| wish.stamp = wish.stamp.before(Duration::from_secs(60));
    let other = Forge::root("another authority").client("mallory", |_| ());
    let other = alice().posing_as(other.identity());
    let junk: [u8; DATAGRAM_LENGTH] =
        Chance::new("junk").bytes(DATAGRAM_LENGTH).try_into().expect("that long");
    [
        ("not-veiled", Box::new(move || alice().tagged(junk))),
        ("unknown-authority", Box::new(move || other.seal(&["tcp/22"]).bytes)),
        ("bad-signature", Box::new(|| thief::knock(authority))),
        ("stamp-too-old", Box::new(move || alice().seal_with(&["tcp/22"], late).bytes)),
        ("service-not-allowed", Box::new(move || alice().seal(&["tcp/23"]).bytes)),
    ]
}

/// Sends what must be refused, and then one good knock. Everything but the good knock's answer is
/// `noise`: so many packets for each, whatever is in it.
fn only_a_good_knock_is_answered(adapt: impl FnOnce(Config) -> Config, noise: u64) {
    let (world, authority) = (World::new(), Authority::new());
    let config = adapt(Config::new(&authority)).set("logFormat", "json");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    world.client.nft(WIRETAP);
    let mut sent = 0;
    for (reason, make) in refused(&world, &authority) {
        let to = (World::GATEWAY[0], DEFAULT_KNOCK_PORT).into();
        let socket = reach::udp_socket(&world.client, to).unwrap();
        socket.send(&make()).unwrap();
        let verdict = daemon.verdict_on(socket.local_addr().unwrap());
        assert_eq!(verdict["reason"], reason, "{verdict}");
        sent += 1;
    }
    // An answer would be on its way before the verdict is told, and a cable delivers at once.
    assert_eq!(heard(&world.client), sent * noise);
    let alice = Client::alice(&world.client, &authority);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert_eq!(heard(&world.client), (sent + 1) * noise + 1, "and its answer");
}

#[test]
fn a_dropping_host_sends_nothing_but_answers_to_good_knocks() {
    for intake in ["nflog", "socket"] {
        let dropping = |config: Config| {
            config.set("firewallPolicy", "drop").without("protectedPorts").set("intake", intake)
        };
        only_a_good_knock_is_answered(dropping, 0);
    }
}

#[test]
fn a_bound_port_sends_nothing_but_answers_to_good_knocks() {
    only_a_good_knock_is_answered(|config| config.set("intake", "socket"), 0);
}

/// As for any port where nothing listens, the kernel says so: to all alike.
#[test]
fn an_unbound_port_looks_closed_to_good_and_bad_knocks_alike() {
    only_a_good_knock_is_answered(|config| config.set("intake", "nflog"), 1);
}

/// How long a good knock's answer takes while somebody else sends what is refused early or late. Told,
/// not asserted: docs/RELIABILITY.md says what it means.
#[test]
fn the_latency_of_good_knocks_beside_bad_ones_is_printed() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    let mallory = Forge::root("another authority").client("mallory", |_| ()).identity();
    let mallory = Client::alice(&world.client, &authority).posing_as(mallory);
    let stranger = || mallory.seal(&["tcp/22"]).bytes;
    let thief = || thief::knock(&authority);
    let bad: [(&str, Option<Make<'_>>); 3] = [
        ("nothing", None),
        ("unknown-authority", Some(&stranger)),
        ("bad-signature", Some(&thief)),
    ];
    for (what, make) in bad {
        let done = AtomicBool::new(false);
        let mut spans = thread::scope(|scope| {
            scope.spawn(|| annoy(&world, make, &done));
            let spans: Vec<Duration> = (0..50).map(|_| answered(&world, &alice)).collect();
            done.store(true, Ordering::Relaxed);
            spans
        });
        spans.sort_unstable();
        println!("beside {what}: median {:.0?}, 9 in 10 below {:.0?}", spans[25], spans[45]);
    }
    // An answer is on its way before the log tells of it.
    until("all are granted", || daemon.times_said("audit: granted") == 150);
}

/// Makes a datagram, another one each time.
type Make<'a> = &'a (dyn Fn() -> [u8; DATAGRAM_LENGTH] + Sync);

/// Up to 500 a second, none of them twice: what was refused is remembered.
fn annoy(world: &World, make: Option<Make<'_>>, done: &AtomicBool) {
    let to = (World::GATEWAY[0], DEFAULT_KNOCK_PORT).into();
    let socket = reach::udp_socket(&world.client, to).unwrap();
    while !done.load(Ordering::Relaxed) {
        if let Some(make) = make {
            // Errors are ICMP messages: nothing listens there, as far as one can see.
            let _ = socket.send(&make());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn answered(world: &World, alice: &Client<'_>) -> Duration {
    let knock = alice.seal(&["tcp/22"]);
    let watch = Stopwatch::start();
    knock.send(&world.client, World::GATEWAY[0]).must_be_granted();
    watch.span()
}
