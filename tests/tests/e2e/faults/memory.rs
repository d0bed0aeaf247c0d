//! Memory is short while a flood comes in.

use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::wait::Limit;
use sknock_tests::{Authority, Chance, Daemon, Echo, Ledger, World, process, reach};

/// What the network process may use more than it does when it begins: its queues when they are full,
/// and what a flood needs in passing.
const ROOM: u64 = 32 << 20;

/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(3);

fn data(pid: Pid) -> u64 {
    let text = process::status(pid, "VmData").expect("it runs");
    let kilobytes: u64 = text.trim_end_matches(" kB").trim().parse().expect("a number");
    kilobytes << 10
}

/// Datagrams of the right length that nobody can decrypt, as fast as they go.
pub(crate) fn flood(world: &World) -> u64 {
    let to = (World::GATEWAY[0], DEFAULT_KNOCK_PORT).into();
    let socket = reach::udp_socket(&world.client, to).unwrap();
    let mut junk = Chance::new("junk").bytes(DATAGRAM_LENGTH);
    let (limit, mut sent) = (Limit::new(FLOOD), 0_u64);
    while !limit.is_over() {
        junk[..8].copy_from_slice(&sent.to_be_bytes());
        // No room for it in our own queue is no fault.
        sent += u64::from(socket.send(&junk).is_ok());
    }
    sent
}

#[test]
fn a_flood_needs_no_memory() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    // As many as come: the kernel's own limit is not what is tried here.
    let config = Ledger::config(&authority).set("knocksPerSource", "0");
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    // Strangers' datagrams are told at a level that is off, unless for tests.
    daemon.export("SKNOCK_LOG", "info");
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let network = daemon.network();
    process::limit(network, "data", data(network) + ROOM);
    process::limit(daemon.parent(), "data", data(daemon.parent()) + ROOM);
    let sent = thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&world));
        while !flooding.is_finished() {
            ledger.knock();
            thread::sleep(Duration::from_millis(50));
        }
        flooding.join().unwrap()
    });
    assert_eq!(daemon.network(), network, "it lives");
    ledger.must_be_protected();
    ledger.knock().must_be_granted();
    ledger.read(&daemon);
    println!("{sent} datagrams of junk; the network process has {} KiB", data(network) >> 10);
}

/// A new network process needs more than there is: it fails until there is more.
#[test]
fn a_network_process_without_memory_is_started_again_until_it_has_some() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    let granted = ledger.knock();
    granted.must_be_granted();
    let (mark, parent) = (daemon.mark(), daemon.parent());
    // Enough for the privileged process itself; its children have the same limit.
    process::limit(parent, "data", data(parent) + (1 << 20));
    kill(daemon.network(), Signal::SIGKILL).unwrap();
    daemon.wait_since(mark, "network process exited");
    daemon.wait_since(mark, "network process exits: Resource temporarily unavailable");
    ledger.must_be_protected();
    ledger.read(&daemon);
    process::limit(parent, "data", 1 << 40);
    daemon.wait_since(mark, Daemon::ACCEPTING);
    assert_eq!(daemon.parent(), parent);
    assert!(world.gateway.doors().iter().any(|door| door.knock == granted.id()));
    ledger.must_hold(&daemon);
}
