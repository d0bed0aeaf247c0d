//! A grant for single use lets in one, also if two come at the same moment on two processors.

use std::collections::BTreeSet;
use std::hint;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use rustix::process::setpriority_process;
use sknock_tests::ip_packet::{Packet, SYN, Segment, tcp};
use sknock_tests::wait::{Limit, until};
use sknock_tests::{Authority, Client, Config, Daemon, Wire, World};

use super::stage::{Hand, SSH, listener, settle};

const ROUNDS: u16 = 50;

/// Only TCP: a knock for a single use of a UDP port is refused.
fn single_use(alice: &Client<'_>, world: &World) {
    let knock = alice.seal_with(&["tcp/22"], |wish| {
        wish.lifetime = NonZeroU16::new(60);
        wish.single_use = true;
    });
    knock.send(&world.client, World::GATEWAY[0]).must_be_granted();
}

/// From so many ports on each processor.
const PORTS: u16 = 8;

/// Sends all of both at the same moment: a cable delivers on the processor that sends.
fn at_once(wires: &[Wire; 2], packets: &[Vec<Vec<u8>>; 2]) {
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        for (cpu, (wire, packets)) in wires.iter().zip(packets).enumerate() {
            let ready = &ready;
            scope.spawn(move || {
                let mut only = CpuSet::new();
                only.set(cpu).unwrap();
                sched_setaffinity(Pid::from_raw(0), &only).expect("two processors");
                // Before whatever else the machine does: who waits for a processor comes too late.
                setpriority_process(None, -20).expect("root may");
                // The way is warm: the first packet on it takes far longer than any other.
                for port in 0..PORTS {
                    wire.send(&syn(31_000 + port, 23));
                }
                ready.fetch_add(1, Ordering::SeqCst);
                // A thread that sleeps here would wake up too late.
                while ready.load(Ordering::SeqCst) < 2 {
                    hint::spin_loop();
                }
                for packet in packets {
                    wire.send(packet);
                }
            });
        }
    });
}

#[test]
fn of_simultaneous_syns_a_single_use_grant_accepts_one() {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.set("ipv4/tcp_synack_retries", "0");
    let _ssh = listener(&world.gateway, SSH);
    let first = Wire::new(&world.client, World::GATEWAY[0]);
    let wires = [first, Wire::another(&world.client, World::GATEWAY[0])];
    let config = Config::new(&authority).set("firewallPolicy", "drop");
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    let mut counts = Vec::new();
    for round in 0..ROUNDS {
        single_use(&alice, &world);
        wires[0].heard();
        let packets = [0, PORTS].map(|more| {
            let first = 20_000 + 2 * PORTS * round + more;
            (first..first + PORTS).map(|port| syn(port, SSH)).collect()
        });
        at_once(&wires, &packets);
        let mut agreed = BTreeSet::new();
        let mut look = || {
            let heard = wires[0].heard().into_iter().filter(Packet::is_syn_ack);
            agreed.extend(heard.map(|packet| packet.to.port()));
            !agreed.is_empty()
        };
        until("one gets in", &mut look);
        thread::sleep(Duration::from_millis(5));
        look();
        counts.push(agreed.len());
    }
    assert_eq!(counts, [1; ROUNDS as usize]);
}

fn syn(port: u16, to: u16) -> Vec<u8> {
    let syn = Segment { flags: SYN, sequence: 1_000, ..Segment::default() };
    tcp((World::CLIENT[0], port).into(), (World::GATEWAY[0], to).into(), &syn)
}

/// Its answer was lost. The server's own repetitions are switched off: whatever is heard is an answer.
#[test]
fn the_same_syn_again_passes_for_ten_seconds_and_no_other() {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.set("ipv4/tcp_synack_retries", "0");
    let _ssh = listener(&world.gateway, SSH);
    let wire = Wire::new(&world.client, World::GATEWAY[0]);
    let _daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    single_use(&alice, &world);
    let begun = Limit::new(Duration::from_millis(10_500));
    let hand = |port| Hand::new((World::CLIENT[0], port), (World::GATEWAY[0], SSH), 1_000);
    assert!(hand(20_000).knocks_in(&wire, 1_000), "the first");
    // The server has given up by then: it is a first one again to everybody but the firewall.
    thread::sleep(Duration::from_millis(1_500));
    assert!(hand(20_000).knocks_in(&wire, 1_000), "the same again");
    assert!(!hand(20_000).knocks_in(&wire, 2_000), "another number");
    assert!(!hand(20_001).knocks_in(&wire, 1_000), "another port");
    // Repeating it must not make it last.
    while !begun.is_over() {
        wire.send(&hand(20_000).packet(SYN, b""));
        settle();
    }
    for sequence in [1_000, 1_000, 3_000] {
        assert!(!hand(20_000).knocks_in(&wire, sequence), "{sequence}, after ten seconds");
    }
}
