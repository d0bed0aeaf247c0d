//! Every combination of flags, on every kind of conntrack entry.

use std::net::{IpAddr, TcpListener, TcpStream};

use sknock_tests::ip_packet::{ACK, CWR, ECE, FIN, PSH, Packet, RST, SYN, URG};
use sknock_tests::wait::some;
use sknock_tests::{Authority, Config, Daemon, Wire, World};

use super::stage::{Hand, SSH, accepted, is_silent, listener, reset, settle};

/// By the names of the flags.
const FLAGS: [(&str, u8); 15] = [
    ("S", SYN),
    ("SF", SYN | FIN),
    ("SR", SYN | RST),
    ("SFUP", SYN | FIN | URG | PSH),
    ("SEC", SYN | ECE | CWR),
    ("SP with data", SYN | PSH),
    ("A", ACK),
    ("PA", PSH | ACK),
    ("F", FIN),
    ("FA", FIN | ACK),
    ("R", RST),
    ("RA", RST | ACK),
    ("none", 0),
    ("FPU", FIN | PSH | URG),
    ("SA", SYN | ACK),
];

/// What conntrack remembers of a tuple.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Entry {
    Absent,
    HalfOpen,
    Established,
    ResetByServer,
    ResetByStranger,
    /// Conntrack waits, the socket is gone.
    EndedByStranger,
    /// Both wait.
    EndedByServer,
}

const ENTRIES: [Entry; 7] = [
    Entry::Absent,
    Entry::HalfOpen,
    Entry::Established,
    Entry::ResetByServer,
    Entry::ResetByStranger,
    Entry::EndedByStranger,
    Entry::EndedByServer,
];

struct Tuple {
    entry: Entry,
    hand: Hand,
    /// The server's side of an established one.
    held: Option<TcpStream>,
}

/// One tuple for each combination, in both families, begun while the port is open to all.
fn tuples(wire: &Wire, listener: &TcpListener, port: u16) -> Vec<Tuple> {
    let mut tuples = Vec::new();
    for (family, own) in World::STRANGER.into_iter().enumerate() {
        for (row, entry) in ENTRIES.into_iter().enumerate() {
            for column in 0..FLAGS.len() {
                let from = 20_000 + family * 1_000 + row * 100 + column;
                let from = (own, u16::try_from(from).unwrap());
                let to: (IpAddr, u16) = (World::GATEWAY_TO_STRANGER[family], port);
                tuples.push(begun(wire, listener, entry, Hand::new(from, to, 1_000)));
            }
        }
    }
    tuples
}

fn begun(wire: &Wire, listener: &TcpListener, entry: Entry, mut hand: Hand) -> Tuple {
    match entry {
        Entry::Absent => return Tuple { entry, hand, held: None },
        Entry::HalfOpen => {
            hand.say(wire, SYN, b"");
            return Tuple { entry, hand, held: None };
        }
        _ => hand.connect(wire),
    }
    let held = some("it is accepted", || {
        let mut all = accepted(listener).into_iter();
        all.find(|(_, from)| *from == hand.from).map(|(stream, _)| stream)
    });
    let own = hand.from;
    let fin = |packet: &Packet| packet.to == own && packet.flags & FIN != 0;
    let held = match entry {
        Entry::ResetByServer => {
            reset(held);
            wire.wait_for("a reset", |packet| packet.to == hand.from && packet.flags & RST != 0);
            None
        }
        Entry::ResetByStranger => {
            hand.say(wire, RST | ACK, b"");
            None
        }
        Entry::EndedByStranger => {
            hand.say(wire, FIN | ACK, b"");
            drop(held);
            wire.wait_for("the server's FIN", fin);
            hand.expected = hand.expected.wrapping_add(1);
            hand.say(wire, ACK, b"");
            None
        }
        Entry::EndedByServer => {
            drop(held);
            wire.wait_for("the server's FIN", fin);
            hand.expected = hand.expected.wrapping_add(1);
            hand.say(wire, FIN | ACK, b"");
            None
        }
        _ => Some(held),
    };
    Tuple { entry, hand, held }
}

/// Throws all flags at all tuples, each with its own; nobody gets in.
#[track_caller]
fn throw(wire: &Wire, listener: &TcpListener, tuples: &[Tuple], sequence: u32, what: &str) {
    wire.heard();
    for (index, Tuple { entry, hand, .. }) in tuples.iter().enumerate() {
        let (name, flags) = FLAGS[index % FLAGS.len()];
        let mut hand = *hand;
        let carries = name == "PA" || name == "SP with data" || name == "FPU" || name == "none";
        let data: &[u8] = if carries { b"let me in" } else { b"" };
        if flags & SYN != 0 {
            hand.sequence = sequence;
        }
        // An established connection, and one half open, are older than the protection and may be
        // used; whoever does not see their numbers may not.
        if [Entry::HalfOpen, Entry::Established].contains(entry) {
            hand.sequence = hand.sequence.wrapping_add(1 << 30);
            hand.expected = hand.expected.wrapping_add(1 << 30);
        }
        wire.send(&hand.packet(flags, data));
    }
    settle();
    let heard = wire.heard();
    for (index, Tuple { entry, hand, held }) in tuples.iter().enumerate() {
        let what = format!("{what}: {} on {entry:?}, {}", FLAGS[index % FLAGS.len()].0, hand.from);
        let agreed = heard.iter().find(|packet| packet.is_syn_ack() && packet.to == hand.from);
        assert!(agreed.is_none(), "{what}: {agreed:?}");
        assert!(held.as_ref().is_none_or(is_silent), "{what}");
    }
    let inside: Vec<_> = accepted(listener).into_iter().map(|(_, from)| from).collect();
    assert!(inside.is_empty(), "{what}: {inside:?}");
}

/// In each way that an entry may be lost or not made.
fn nobody_gets_in(policy: &str) {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.set("ipv4/tcp_synack_retries", "0");
    let ssh = listener(&world.gateway, SSH);
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    // Entries are made only where somebody asks for them.
    world.gateway.nft(
        "table inet tracking {
            chain input {
                type filter hook input priority 0
                ct state invalid accept
            }
        }",
    );
    let config = Config::new(&authority).set("firewallPolicy", policy);
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    daemon.settle();
    let tuples = tuples(&wire, &ssh, SSH);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    throw(&wire, &ssh, &tuples, 0x2000_0000, "tracked");
    throw(&wire, &ssh, &tuples, 0x4000_0000, "tracked, again");
    world.gateway.forget_connections();
    throw(&wire, &ssh, &tuples, 0x6000_0000, "flushed");
    world.gateway.nft(
        "table inet others {
            chain early {
                type filter hook prerouting priority -310
                notrack
            }
        }",
    );
    throw(&wire, &ssh, &tuples, 0x8000_0000, "untracked");
    world.gateway.nft("delete table inet others");
    world.gateway.set("netfilter/nf_conntrack_tcp_loose", "0");
    world.gateway.forget_connections();
    throw(&wire, &ssh, &tuples, 0xa000_0000, "not loose");
}

#[test]
fn no_flags_on_any_conntrack_entry_reach_a_dropped_service() {
    nobody_gets_in("drop");
}

#[test]
fn no_flags_on_any_conntrack_entry_reach_a_rejected_service() {
    nobody_gets_in("reject");
}
