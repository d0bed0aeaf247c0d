//! A flood of datagrams, and its cost for all processes.

use std::thread;
use std::time::Duration;

use sknock_tests::World;

use crate::contender::Contender;
use crate::cpu::{Softirqs, Spent};
use crate::losses::lost;
use crate::sender::Sender;
use crate::series::{Series, micros_each, per_second};
use crate::stopwatch::{Stopwatch, own_cpu};
use crate::world::source;

/// Rounds of each flood.
pub(super) const ROUNDS: usize = 3;

/// Senders of a flood: each is a flow of its own for conntrack.
pub(super) const FLOWS: usize = 4096;

/// Between two checks whether a daemon is still busy.
const PAUSE: Duration = Duration::from_millis(30);

/// After this number of checks it is assumed to be busy with other work.
const LOOKS: usize = 300;

/// The rate of junk.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Load {
    /// Ten, then a millisecond of sleep: slightly less than 10,000/s.
    Bursts,
    /// As fast as one core can send.
    Full,
}

impl Load {
    pub(crate) const ALL: [Self; 2] = [Self::Bursts, Self::Full];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bursts => "bursts",
            Self::Full => "full rate",
        }
    }

    pub(super) fn count(self) -> usize {
        match self {
            Self::Bursts => 4_000,
            Self::Full => 60_000,
        }
    }
}

/// Medians over the rounds, in microseconds per packet.
pub(super) struct Cost {
    /// Of all rounds.
    pub(super) lost: usize,
    pub(super) per_second: f64,
    pub(super) sender: f64,
    /// Per packet that was not lost.
    pub(super) network: f64,
    pub(super) privileged: f64,
    /// Of both processes, per packet sent.
    pub(super) processes: f64,
}

/// A flood and the processes that it loads.
pub(super) struct Flood<'a> {
    pub(super) softirqs: &'a Softirqs,
    pub(super) to: &'a World,
    pub(super) port: u16,
    pub(super) daemon: Option<&'a dyn Contender>,
}

impl Flood<'_> {
    /// Medians over the rounds.
    pub(super) fn cost(&self, packets: &[Vec<u8>], load: Load) -> Cost {
        let rounds: Vec<Cost> = (0..ROUNDS).map(|_| self.round(packets, load)).collect();
        let median = |of: fn(&Cost) -> f64| rounds.iter().map(of).collect::<Series>().median();
        Cost {
            lost: rounds.iter().map(|cost| cost.lost).sum(),
            per_second: median(|cost| cost.per_second),
            sender: median(|cost| cost.sender),
            network: median(|cost| cost.network),
            privileged: median(|cost| cost.privileged),
            processes: median(|cost| cost.processes),
        }
    }

    fn round(&self, packets: &[Vec<u8>], load: Load) -> Cost {
        let sender = Sender::of(self.to, Duration::from_secs(1)).towards(self.port);
        let (before, started) = (lost(&self.to.gateway), self.spent());
        let softirqs = self.softirqs.spent();
        let (own, watch) = (own_cpu(), Stopwatch::start());
        let taken = send(&sender, packets, load);
        let (own, took) = (own_cpu().saturating_sub(own), watch.elapsed());
        let spent = self.settled().since(started);
        let kernel = own + self.softirqs.spent().saturating_sub(softirqs);
        let lost = lost(&self.to.gateway) - before;
        Cost {
            lost,
            per_second: per_second(taken, took),
            sender: micros_each(kernel, taken),
            network: micros_each(spent.network, taken - lost),
            privileged: micros_each(spent.privileged, taken - lost),
            processes: micros_each(spent.both(), taken),
        }
    }

    fn spent(&self) -> Spent {
        self.daemon.map(Contender::spent).unwrap_or_default()
    }

    /// Waits until the daemon is idle.
    fn settled(&self) -> Spent {
        let mut last = self.spent();
        for _ in 0..LOOKS {
            thread::sleep(PAUSE);
            let now = self.spent();
            if now.since(last).network < PAUSE / 10 {
                return now;
            }
            last = now;
        }
        last
    }
}

/// Sends from all flows in turn; returns the number that the kernel accepted.
fn send(sender: &Sender, packets: &[Vec<u8>], load: Load) -> usize {
    let mut taken = 0;
    for (number, packet) in packets.iter().cycle().take(load.count()).enumerate() {
        if matches!(load, Load::Bursts) && number % 10 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        taken += usize::from(sender.send(packet, source(20_000 + number % FLOWS)));
    }
    taken
}
