//! Reloads while another program changes the firewall continuously, and clients knock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Enough;
use crate::{Authority, Daemon, Echo, Ledger, World};

/// Adds, fills and removes a table of another program: that interrupts listings (EINTR).
const CHURN: &str = "table inet other { set s { type ipv4_addr; }; }\n\
    add element inet other s { 192.0.2.1, 192.0.2.2, 192.0.2.3 }\n\
    delete table inet other\n";

/// Reloads this number of times; no knock is lost, and [`Ledger::must_hold`] is true.
pub fn reloads(rounds: u32) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 3);
    let daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    let done = AtomicBool::new(false);
    let changes = thread::scope(|scope| {
        let _enough = Enough(&done);
        let churning = scope.spawn(|| {
            let mut changes = 0;
            while !done.load(Ordering::Relaxed) {
                world.gateway.nft(CHURN);
                changes += 3;
            }
            changes
        });
        let knocking = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                ledger.knock().must_be_granted();
                thread::sleep(Duration::from_millis(10));
            }
        });
        for _ in 0..rounds {
            daemon.reload();
            ledger.must_hold(&daemon);
        }
        done.store(true, Ordering::Relaxed);
        knocking.join().expect("no knock was lost");
        churning.join().expect("nft changes what it is told")
    });
    ledger.close(&daemon);
    let (sent, used) = ledger.counts();
    assert_eq!(sent, used, "no knock was lost");
    println!(
        "{rounds} reloads beside {changes} changes by somebody else: {sent} knocks, all opened"
    );
}
