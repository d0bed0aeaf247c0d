//! A connection that has ended leaves its tuple in conntrack. Who comes back on it needs a grant.

use std::net::TcpListener;

use sknock_tests::ip_packet::{ACK, FIN, Packet, RST, SYN};
use sknock_tests::wait::{some, until};
use sknock_tests::{Authority, Client, Config, Daemon, Namespace, Wire, World};

use super::stage::{Hand, SSH, accepted, listener, reset, settle};

/// How a connection is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By a reset of the server's.
    Reset,
    /// By both, the client first.
    Finished,
}

/// Connects with a grant and ends it.
fn once_and_over(wire: &Wire, ssh: &TcpListener, hand: &Hand, end: End) {
    let mut hand = *hand;
    hand.connect(wire);
    let own = hand.from;
    let stream = some("it is accepted", || {
        let mut all = accepted(ssh).into_iter();
        all.find(|(_, from)| *from == own).map(|(stream, _)| stream)
    });
    let says = |flag: u8| move |packet: &Packet| packet.to == own && packet.flags & flag != 0;
    match end {
        End::Reset => {
            reset(stream);
            wire.wait_for("a reset", says(RST));
        }
        End::Finished => {
            hand.say(wire, FIN | ACK, b"");
            drop(stream);
            wire.wait_for("the server's FIN", says(FIN));
            hand.expected = hand.expected.wrapping_add(1);
            hand.say(wire, ACK, b"");
        }
    }
}

/// One tuple for each end, in each family.
fn hands() -> Vec<(End, Hand)> {
    let mut hands = Vec::new();
    for family in 0..2 {
        for (index, end) in [End::Reset, End::Finished].into_iter().enumerate() {
            let port = 20_000 + u16::try_from(index).unwrap();
            let (own, to) = (World::CLIENT[family], World::GATEWAY[family]);
            hands.push((end, Hand::new((own, port), (to, SSH), 1_000)));
        }
    }
    hands
}

fn knock(client: &Client<'_>, from: &Namespace, family: usize, seconds: u16, single_use: bool) {
    let knock = client.seal_with(&["tcp/22"], |wish| {
        wish.lifetime = std::num::NonZeroU16::new(seconds);
        wish.single_use = single_use;
    });
    knock.send(from, World::GATEWAY[family]).must_be_granted();
}

/// Whose SYN is agreed to, of all that ask at once.
fn agreed(wire: &Wire, hands: &[(End, Hand)], sequence: u32) -> Vec<bool> {
    wire.heard();
    for (_, hand) in hands {
        wire.send(&Hand { sequence, ..*hand }.packet(SYN, b""));
    }
    settle();
    let heard = wire.heard();
    let agreed = |hand: &Hand| heard.iter().any(|one| one.is_syn_ack() && one.to == hand.from);
    hands.iter().map(|(_, hand)| agreed(hand)).collect()
}

fn comes_back(policy: &str) {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.set("ipv4/tcp_synack_retries", "0");
    let ssh = listener(&world.gateway, SSH);
    let wire = Wire::new(&world.client, World::GATEWAY[0]);
    let config = Config::new(&authority).set("firewallPolicy", policy);
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    let hands = hands();
    for family in 0..2 {
        knock(&alice, &world.client, family, 4, false);
    }
    for (end, hand) in &hands {
        once_and_over(&wire, &ssh, hand, *end);
    }
    assert_eq!(agreed(&wire, &hands, 0x2000_0000), [true; 4], "the grant lasts");
    until("the grants have ended", || world.gateway.doors().is_empty());
    for again in 0..3 {
        let sequence = 0x3000_0000 + again * 0x0100_0000;
        assert_eq!(agreed(&wire, &hands, sequence), [false; 4], "the grant has ended");
    }
    for family in 0..2 {
        knock(&alice, &world.client, family, 60, false);
    }
    assert_eq!(agreed(&wire, &hands, 0x5000_0000), [true; 4], "another grant");
}

#[test]
fn a_reused_tuple_requires_a_new_grant_when_dropped() {
    comes_back("drop");
}

#[test]
fn a_reused_tuple_requires_a_new_grant_when_rejected() {
    comes_back("reject");
}

#[test]
fn a_single_use_is_used_up_whatever_ended_its_connection() {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.set("ipv4/tcp_synack_retries", "0");
    let ssh = listener(&world.gateway, SSH);
    let wire = Wire::new(&world.client, World::GATEWAY[0]);
    let _daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    let hands = hands();
    for (end, hand) in &hands {
        knock(&alice, &world.client, usize::from(hand.to.is_ipv6()), 60, true);
        once_and_over(&wire, &ssh, hand, *end);
    }
    for again in 0..3 {
        let sequence = 0x3000_0000 + again * 0x0100_0000;
        assert_eq!(agreed(&wire, &hands, sequence), [false; 4]);
    }
}

/// The entry of a handshake that is never finished lasts; repeating its SYN must not make it a way in.
#[test]
fn a_half_open_handshake_cannot_be_kept_past_its_grant() {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.set("ipv4/tcp_synack_retries", "0");
    let ssh = listener(&world.gateway, SSH);
    let wire = Wire::new(&world.client, World::GATEWAY[0]);
    let _daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    let hands = hands();
    for family in 0..2 {
        knock(&alice, &world.client, family, 3, false);
    }
    assert_eq!(agreed(&wire, &hands, 1_000), [true; 4]);
    until("the grants have ended", || {
        for (_, hand) in &hands {
            wire.send(&hand.packet(SYN, b""));
        }
        world.gateway.doors().is_empty()
    });
    // What was agreed to before the end has arrived.
    settle();
    for sequence in [1_000, 1_000, 2_000] {
        assert_eq!(agreed(&wire, &hands, sequence), [false; 4], "{sequence}");
    }
    assert!(accepted(&ssh).is_empty());
}
