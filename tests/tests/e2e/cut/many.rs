//! Thousands of grants closed at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sknock_tests::{Authority, Client, Config, Daemon, World};

/// Both families.
const GRANTS: usize = 2 * 48 * 64;

#[test]
fn knocks_are_served_while_thousands_of_grants_are_closed() {
    let (world, authority) = (World::new(), Authority::new());
    let ports = "udp/40000-43071";
    let config = Config::new(&authority)
        .set("protectedPorts", &format!("tcp/22, udp/53, {ports}"))
        .set("maxGrantsPerSecond", "10000")
        .set("shareOfCertificate", "100")
        .set("shareOfNetwork", "100");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    authority.client("paul", &[ports]);
    let (paul, alice) = (
        Client::named("paul", &world.client, &authority),
        Client::alice(&world.client, &authority),
    );
    for host in World::GATEWAY {
        for first in (0..48).map(|knock| 40_000 + knock * 64) {
            let some = format!("udp/{first}-{}", first + 63);
            paul.seal_for(&[&some], 600).send(&world.client, host).must_be_granted();
        }
    }
    assert_eq!(world.gateway.doors().len(), GRANTS);
    let (mark, over) = (daemon.mark(), AtomicBool::new(false));
    let asked = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let knock = alice.seal_for(&["udp/53"], 60);
                knock.send(&world.client, World::GATEWAY[0]).must_be_granted();
            }
        });
        daemon.wait_since(mark, "audit: granted");
        let asked = daemon.tell("close --name paul");
        over.store(true, Ordering::Relaxed);
        asked
    });
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    assert!(
        asked.answer.contains(&format!("closed: {GRANTS}; already expired: 0")),
        "{}",
        asked.answer
    );
    assert_eq!(world.gateway.doors().len(), 1, "alice's");
    let said = daemon.said_since(mark);
    let pieces: Vec<usize> =
        (0..said.len()).filter(|place| said[*place].contains("connections terminated: ")).collect();
    let (first, last) = (pieces[0], pieces[pieces.len() - 1]);
    let between =
        said[first..last].iter().filter(|line| line.contains("gate: opened udp/53")).count();
    assert!(pieces.len() >= 6 && between >= 2, "{} pieces, {between} grants", pieces.len());
    assert!(!said.iter().any(|line| line.contains("without a grant")));
}
