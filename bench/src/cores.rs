//! The gain of a second core. On a machine with two cores none is left for the sender, so the knocks are
//! queued in the daemon's socket before the measurement.

use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use sknock_tests::{Config, Daemon};

use crate::contender::Contender;
use crate::cpu;
use crate::figures::{Figures, OURS};
use crate::rush::{PATIENCE, Round};
use crate::sender::Sender;
use crate::series::{Series, micros_each, per_second};
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};
use crate::world::{Site, source};

/// They all fit into the socket buffer.
const KNOCKS: usize = 3000;
const ROUNDS: usize = 5;

/// Between two checks, so that checking uses little CPU.
const REST: Duration = Duration::from_millis(1);

/// Measures a daemon with one worker on one core, and one with two on two.
pub(crate) fn measure(site: &Site, config: &Config, log: &str, figures: &mut Figures) -> Table {
    let columns =
        ["daemon", "knocks", "granted", "knocks/s", "min", "max", "CPU us each", "x one core"];
    let mut table = Table::new("A second core", &columns);
    table.note(format!(
        "{ROUNDS} rounds of {KNOCKS} knocks, no answers wanted; median, least and most. The network \
         process is stopped while the knocks are sent, and goes on when all wait in its socket: the \
         time is from then to the last grant, looked for every {REST:?}. So both cores are the \
         daemon's, and sending and the kernel's receiving half are not in the time."
    ));
    let mut one = f64::NAN;
    for (name, workers, cores) in [
        ("one worker, both processes on one core", "1", &[cpu::DAEMON][..]),
        ("two workers, on two cores", "2", &[cpu::SENDER, cpu::DAEMON][..]),
    ] {
        let daemon = site.start(&config.clone().set("workers", workers), log);
        cpu::keep_on(&daemon, cores);
        site.introduce();
        let rounds: Vec<Round> =
            (0..ROUNDS).map(|number| round(site, &daemon, number * KNOCKS)).collect();
        let rate: Series = rounds.iter().map(|r| per_second(r.granted, r.took)).collect();
        let cpu: Series = rounds.iter().map(|r| micros_each(r.spent.both(), r.granted)).collect();
        if one.is_nan() {
            one = rate.median();
        }
        figures.two_cores = rate.median() / one;
        let granted = rounds.iter().map(|round| round.granted).sum();
        let counts = [ROUNDS * KNOCKS, granted].map(|count| count.to_string());
        let rates = [rate.median(), rate.min(), rate.max(), cpu.median(), figures.two_cores];
        table.row([name.to_owned()].into_iter().chain(counts).chain(rates.map(number)));
    }
    table
}

fn round(site: &Site, daemon: &Daemon<'_>, first: usize) -> Round {
    let ours = site.ours(OURS, daemon);
    let knocks: Vec<_> = (first..first + KNOCKS).map(|number| ours.knock(number)).collect();
    let sender = Sender::of(&site.world, PATIENCE);
    let mut events = ours.events(PATIENCE);
    kill(daemon.network(), Signal::SIGSTOP).expect("it runs");
    for (knock, number) in knocks.iter().zip(first..) {
        sender.send_all(knock, source(number));
    }
    let (before, watch) = (ours.spent(), Stopwatch::start());
    kill(daemon.network(), Signal::SIGCONT).expect("it is stopped");
    let (mut granted, mut took) = (0, Duration::ZERO);
    while granted < KNOCKS && watch.elapsed() < took + PATIENCE {
        thread::sleep(REST);
        let new = events.grants_so_far();
        if new > 0 {
            (granted, took) = (granted + new, watch.elapsed());
        }
    }
    Round { granted, took, spent: ours.spent().since(before) }
}
