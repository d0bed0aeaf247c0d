//! Either process is killed at random moments, under load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use super::Enough;
use crate::Found::Open;
use crate::wait::until;
use crate::{Authority, Chance, Daemon, Echo, Ledger, World, process, reach};

/// Between two knocks.
const PAUSE: Duration = Duration::from_millis(5);

/// Kills this number of times. Each time the server must recover by itself, or by a new start, with
/// everything that [`Ledger::must_hold`] requires; unauthenticated senders try to connect all the time.
pub fn kills(rounds: u32) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 3);
    let mut daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    let done = AtomicBool::new(false);
    let (mut chance, mut tally) = (Chance::new("kills"), Tally::default());
    let tried = thread::scope(|scope| {
        let _enough = Enough(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                ledger.knock();
                thread::sleep(PAUSE);
            }
        });
        let stranger = scope.spawn(|| {
            let mut tried = 0;
            while !done.load(Ordering::Relaxed) {
                for host in World::GATEWAY_TO_STRANGER {
                    let found = reach::tcp(&world.stranger, (host, 22).into());
                    assert_ne!(found, Open, "a stranger got in");
                }
                tried += 2;
            }
            tried
        });
        for _ in 0..rounds {
            thread::sleep(Duration::from_millis(chance.below(200)));
            strike(&mut daemon, &ledger, &mut chance, &mut tally);
        }
        done.store(true, Ordering::Relaxed);
        stranger.join().expect("no stranger got in")
    });
    ledger.close(&daemon);
    let (sent, used) = ledger.counts();
    println!(
        "killed: network process {}, privileged process {}, again while it came back {}; \
         knocks {sent}, opened {used}, none twice; a stranger tried {tried} times",
        tally.network, tally.parent, tally.again
    );
}

#[derive(Default)]
struct Tally {
    network: u32,
    parent: u32,
    again: u32,
}

/// Kills one process, one time in four again before recovery, and checks the state.
fn strike(daemon: &mut Daemon<'_>, ledger: &Ledger<'_>, chance: &mut Chance, tally: &mut Tally) {
    let mut mark = kill_one(daemon, ledger, chance, tally);
    while chance.once_in(4) {
        thread::sleep(Duration::from_millis(chance.below(150)));
        mark = kill_one(daemon, ledger, chance, tally);
        tally.again += 1;
    }
    until("knocks are accepted again", || {
        if daemon.has_ended() {
            revive(daemon, ledger);
        }
        daemon.said_since(mark).iter().any(|line| line.ends_with(Daemon::ACCEPTING))
    });
    ledger.must_hold(daemon);
}

/// Returns where the log was.
fn kill_one(
    daemon: &mut Daemon<'_>,
    ledger: &Ledger<'_>,
    chance: &mut Chance,
    tally: &mut Tally,
) -> usize {
    let mark = daemon.mark();
    let network = process::children(daemon.parent());
    match network.first() {
        // It may end by itself in this moment.
        Some(network) if chance.once_in(2) => {
            let _ = kill(*network, Signal::SIGKILL);
            tally.network += 1;
        }
        _ => {
            let _ = kill(daemon.parent(), Signal::SIGKILL);
            until("the network process ends, too", || {
                !network.iter().any(|&pid| process::runs(pid))
            });
            revive(daemon, ledger);
            tally.parent += 1;
        }
    }
    mark
}

/// As systemd does.
fn revive(daemon: &mut Daemon<'_>, ledger: &Ledger<'_>) {
    daemon.wait_for_end();
    ledger.read_after_death(daemon);
    ledger.must_be_protected();
    daemon.begin();
}
