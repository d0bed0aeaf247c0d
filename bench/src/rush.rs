//! Valid knocks at the maximum rate of a daemon.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use crate::contender::{Contender, Knock};
use crate::cpu::Spent;
use crate::sender::Sender;
use crate::stopwatch::Stopwatch;

/// Between two reads of the events: far less than granting all pending knocks takes.
const REST: Duration = Duration::from_micros(500);

/// After this time without events no more grants are expected.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The result of a round.
pub(crate) struct Round {
    pub(crate) granted: usize,
    /// From the first knock to the last grant.
    pub(crate) took: Duration,
    pub(crate) spent: Spent,
}

/// Sends these knocks with at most `most` pending at a time, and waits for their grants.
pub(crate) fn rush(contender: &dyn Contender, knocks: &[(Knock, Ipv4Addr)], most: usize) -> Round {
    let sender = Sender::of(contender.world(), PATIENCE);
    let mut events = contender.events(PATIENCE);
    let (before, watch) = (contender.spent(), Stopwatch::start());
    let (mut granted, mut took) = (0, Duration::ZERO);
    // Knocks without a grant after the time limit are counted as lost.
    let (mut lost, mut heard) = (0, Duration::ZERO);
    let mut wait = |under_way: usize| {
        thread::sleep(REST);
        match events.grants_so_far() {
            0 if watch.elapsed() < heard + PATIENCE => {}
            0 => (lost, heard) = (lost + under_way, watch.elapsed()),
            new => {
                (granted, took) = (granted + new, watch.elapsed());
                heard = took;
            }
        }
        granted + lost
    };
    let mut settled = 0;
    for (sent, (knock, source)) in knocks.iter().enumerate() {
        while sent >= settled + most {
            settled = wait(sent - settled);
        }
        sender.send_all(knock, *source);
    }
    while settled < knocks.len() {
        settled = wait(knocks.len() - settled);
    }
    Round { granted, took, spent: contender.spent().since(before) }
}
