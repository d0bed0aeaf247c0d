//! Ports that somebody publishes: translated to a machine behind the gateway, judged as dialled.

use std::num::NonZeroU16;

use sknock_tests::ip_packet::{ACK, FIN, PSH, RST, SYN, URG, udp};
use sknock_tests::wait::some;
use sknock_tests::{Authority, Client, Config, Daemon, Wire, World};

use super::stage::{Dns, Hand, accepted, is_silent, listener, reset, settle};

/// As dialled, and where the service is.
const DIALLED: u16 = 8080;
const INNER: u16 = 80;

fn publish(world: &World) {
    let [v4, v6] = World::INNER;
    world.gateway.nft(&format!(
        "table inet nat {{
            chain prerouting {{
                type nat hook prerouting priority dstnat
                tcp dport {DIALLED} dnat ip to {v4}:{INNER}
                tcp dport {DIALLED} dnat ip6 to [{v6}]:{INNER}
                udp dport {DIALLED} dnat ip to {v4}:{INNER}
                udp dport {DIALLED} dnat ip6 to [{v6}]:{INNER}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat
                iifname in oifname in masquerade
            }}
        }}"
    ));
    world.inner().set("ipv4/tcp_synack_retries", "0");
}

fn config(authority: &Authority, policy: &str) -> Config {
    let list = authority.file("crl.der");
    Config::new(authority)
        .set("firewallPolicy", policy)
        .set("protectedPorts", "tcp/8080, udp/8080")
        .set("crlFile", list.to_str().expect("temporary files have plain names"))
}

const FLAGS: [u8; 10] =
    [SYN, SYN | FIN, SYN | RST, ACK, PSH | ACK, FIN, RST | ACK, 0, FIN | PSH | URG, SYN | ACK];

/// Each flag from two ports: one that is new, and one whose connection was open before and was reset.
fn strangers_stay_outside(policy: &str) {
    let (world, authority) = (World::with_inner(), Authority::new());
    publish(&world);
    let (web, dns) = (listener(world.inner(), INNER), Dns::on(world.inner(), "in", INNER));
    world.inner().run("ip", &["route", "replace", "default", "via", "10.77.3.1"]);
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    let mut hands = Vec::new();
    for family in 0..2 {
        let (own, to) = (World::STRANGER[family], World::GATEWAY_TO_STRANGER[family]);
        for index in 0..FLAGS.len() {
            let port = 20_000 + u16::try_from(index).unwrap();
            let mut old = Hand::new((own, port), (to, DIALLED), 1_000);
            old.connect(&wire);
            let from = old.from;
            let found = || accepted(&web).into_iter().find(|(_, of)| *of == from);
            // By the server: conntrack forgets at once what who began it resets.
            reset(some("it is accepted", found).0);
            wire.wait_for("a reset", |packet| packet.to == from && packet.flags & RST != 0);
            hands.push(old);
            hands.push(Hand::new((own, port + 100), (to, DIALLED), 1_000));
        }
    }
    let daemon = Daemon::start_settled(&world.gateway, &config(&authority, policy));
    for when in ["tracked", "flushed"] {
        wire.heard();
        for (index, hand) in hands.iter().enumerate() {
            let flags = FLAGS[index / 2 % FLAGS.len()];
            let sequence = if flags & SYN == 0 { hand.sequence } else { 0x7000_0000 };
            let data: &[u8] = if flags & PSH == 0 { b"" } else { b"let me in" };
            wire.send(&Hand { sequence, ..*hand }.packet(flags, data));
            let says = format!("{when}, {}", hand.from);
            wire.send(&udp(hand.from, hand.to, says.as_bytes()));
        }
        settle();
        let heard = wire.heard();
        let agreed: Vec<_> = heard.iter().filter(|packet| packet.is_syn_ack()).collect();
        assert!(agreed.is_empty(), "{policy}, {when}: {agreed:?}");
        assert!(accepted(&web).is_empty(), "{policy}, {when}");
        assert!(dns.heard().is_empty(), "{policy}, {when}");
        world.gateway.forget_connections();
    }
    drop(daemon);
}

#[test]
fn no_sender_without_a_grant_reaches_a_published_port_when_dropped() {
    strangers_stay_outside("drop");
}

#[test]
fn no_sender_without_a_grant_reaches_a_published_port_when_rejected() {
    strangers_stay_outside("reject");
}

#[test]
fn a_published_port_opens_as_dialled_once_again_and_never_after_a_revocation() {
    let (world, authority) = (World::with_inner(), Authority::new());
    publish(&world);
    let web = listener(world.inner(), INNER);
    let wire = Wire::new(&world.client, World::GATEWAY[0]);
    let daemon = Daemon::start_settled(&world.gateway, &config(&authority, "reject"));
    let alice = Client::alice(&world.client, &authority);
    for family in 0..2 {
        let (own, to) = (World::CLIENT[family], World::GATEWAY[family]);
        let hand = |port| Hand::new((own, port), (to, DIALLED), 1_000);
        let knock = |single_use| {
            let knock = alice.seal_with(&["tcp/8080"], |wish| {
                wish.lifetime = NonZeroU16::new(600);
                wish.single_use = single_use;
            });
            knock.send(&world.client, to).must_be_granted();
        };
        assert!(!hand(20_000).knocks_in(&wire, 1_000), "without a grant");
        knock(true);
        let mut once = hand(20_001);
        once.connect(&wire);
        let (stream, _) = some("it is accepted", || accepted(&web).pop());
        assert!(!hand(20_002).knocks_in(&wire, 1_000), "a second one");
        assert!(!hand(20_001).knocks_in(&wire, 0x5000_0000), "the same, another number");
        assert!(is_silent(&stream));
        once.say(&wire, PSH | ACK, b"hello");
        settle();
        assert!(!is_silent(&stream), "the first one lives");
        reset(stream);
        settle();
        assert!(!hand(20_001).knocks_in(&wire, 0x6000_0000), "the same after its end");
        knock(false);
        for port in 20_003..20_005 {
            assert!(hand(port).knocks_in(&wire, 1_000), "with a grant");
        }
        // From inside, to the port as the world dials it: a stranger too.
        let inside = sknock_tests::reach::connect(world.inner(), (to, DIALLED).into());
        assert!(inside.is_err(), "hairpin");
    }
    let mark = daemon.mark();
    authority.revoke("alice");
    daemon.reload();
    daemon.wait_since(mark, "connections terminated: ");
    for family in 0..2 {
        let hand = Hand::new((World::CLIENT[family], 20_006), (World::GATEWAY[family], DIALLED), 1);
        assert!(!hand.knocks_in(&wire, 1_000), "revoked");
        let hand = Hand { from: (hand.from.ip(), 20_003).into(), ..hand };
        assert!(!hand.knocks_in(&wire, 0x3000_0000), "revoked, on a tuple that was in");
    }
}
