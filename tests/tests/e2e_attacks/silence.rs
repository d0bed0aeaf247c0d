//! Whoever may not knock hears nothing: no answer, no error, whatever the reason.

use std::time::Duration;

use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_protocol::v2::{DATAGRAM_LENGTH, Wish};
use sknock_tests::forge::Forge;
use sknock_tests::{Authority, Chance, Client, Config, Daemon, Namespace, World, reach};

use crate::thief;

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

/// What the server would not grant, each with the reason in its log.
fn refused(world: &World, authority: &Authority) -> [(&'static str, [u8; DATAGRAM_LENGTH]); 5] {
    let alice = || Client::alice(&world.client, authority);
    let made = Forge::root("another authority").client("mallory", |_| ());
    let late = |wish: &mut Wish| wish.stamp = wish.stamp.before(Duration::from_secs(60));
    let junk = Chance::new("junk").bytes(DATAGRAM_LENGTH);
    [
        ("not-veiled", junk.try_into().expect("that long")),
        ("unknown-authority", alice().posing_as(made.identity()).seal(&["tcp/22"]).bytes),
        ("bad-signature", thief::knock(authority)),
        ("stamp-too-old", alice().seal_with(&["tcp/22"], late).bytes),
        ("service-not-allowed", alice().seal(&["tcp/23"]).bytes),
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
    for (reason, datagram) in refused(&world, &authority) {
        let to = (World::GATEWAY[0], DEFAULT_KNOCK_PORT).into();
        let socket = reach::udp_socket(&world.client, to).unwrap();
        socket.send(&datagram).unwrap();
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
