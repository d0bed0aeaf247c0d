//! How many valid knocks one core processes per second.

use sknock_tests::Daemon;

use crate::contender::{Contender, Ours};
use crate::figures::OURS;
use crate::floor::Floor;
use crate::rush::{Round, rush};
use crate::series::{Series, micros_each, per_second};
use crate::table::{Table, number, percent};
use crate::world::{Site, source};

/// Knocks in a round; encrypted before, few enough that their timestamps are recent on arrival.
const KNOCKS: usize = 6000;
const ROUNDS: usize = 3;

/// Pending knocks: enough that the daemon never waits, few enough that none is lost.
const UNDER_WAY: usize = 128;

/// The clients of a round.
#[derive(Clone, Copy)]
struct Crowd {
    name: &'static str,
    many: bool,
    answer: bool,
}

/// The default of clients.
const MANY: Crowd =
    Crowd { name: "40 certificates, an address each knock", many: true, answer: true };

/// The throughput table, for one daemon after another.
pub(crate) struct Throughput<'a> {
    site: &'a Site,
    floor: Floor,
    table: Table,
    /// So that no address knocks in two rounds of one daemon.
    used: usize,
}

impl<'a> Throughput<'a> {
    /// No rows yet.
    pub(crate) fn new(site: &'a Site, floor: Floor) -> Self {
        let columns = [
            "who knocks",
            "knocks",
            "granted",
            "knocks/s/core",
            "min",
            "max",
            "network us",
            "privileged us",
            "core busy",
            "of the floor",
        ];
        let mut table = Table::new("Valid knocks of one core, path cached", &columns);
        table.note(format!(
            "{ROUNDS} rounds of {KNOCKS} knocks, sealed before; median, least and most of the rounds. One \
             worker, both processes on one core, sender and kernel's receiving half on another; \
             {UNDER_WAY} knocks on their way at a time. Granted: different knocks whose element the kernel told of."
        ));
        table.note(
            "us: CPU time of each process for one grant. Core busy: both together, of the time from \
             first knock to last grant; the rest is work of the kernel for nobody, or waiting.",
        );
        table.note(
            "Of the floor: knocks/s x the crypto floor above (with the answer's calls where one is \
             asked for).",
        );
        Self { site, floor, table, used: 0 }
    }

    /// Measures a daemon that is pinned to one core; returns its share of the floor for default clients.
    pub(crate) fn of(&mut self, daemon: &Daemon<'_>) -> f64 {
        self.used = 0;
        let share = self.crowd(daemon, MANY);
        self.crowd(daemon, Crowd { name: "the same, no answer wanted", answer: false, ..MANY });
        self.crowd(daemon, Crowd { name: "one certificate, one address", many: false, ..MANY });
        share
    }

    /// Measures the first kind of clients only.
    pub(crate) fn briefly(&mut self, daemon: &Daemon<'_>, name: &'static str) {
        self.used = 0;
        self.crowd(daemon, Crowd { name, ..MANY });
    }

    fn crowd(&mut self, daemon: &Daemon<'_>, crowd: Crowd) -> f64 {
        let rounds: Vec<Round> = (0..ROUNDS).map(|_| self.round(daemon, crowd)).collect();
        self.row(crowd, &rounds)
    }

    fn row(&mut self, crowd: Crowd, rounds: &[Round]) -> f64 {
        let rate: Series = rounds.iter().map(|r| per_second(r.granted, r.took)).collect();
        let median =
            |of: &dyn Fn(&Round) -> f64| rounds.iter().map(of).collect::<Series>().median();
        let granted: usize = rounds.iter().map(|round| round.granted).sum();
        let floor = if crowd.answer { self.floor.answered } else { self.floor.knock };
        let share = rate.median() * floor / 1e6;
        let cells = [
            (ROUNDS * KNOCKS).to_string(),
            granted.to_string(),
            number(rate.median()),
            number(rate.min()),
            number(rate.max()),
            number(median(&|r| micros_each(r.spent.network, r.granted))),
            number(median(&|r| micros_each(r.spent.privileged, r.granted))),
            percent(median(&|r| r.spent.both().as_secs_f64() / r.took.as_secs_f64())),
            percent(share),
        ];
        self.table.row([crowd.name.to_owned()].into_iter().chain(cells));
        share
    }

    fn round(&mut self, daemon: &Daemon<'_>, crowd: Crowd) -> Round {
        let first = self.used;
        self.used += KNOCKS;
        let from = |number: usize| source(if crowd.many { first + number } else { first });
        let ours = Ours { name: OURS, site: self.site, daemon, answer: crowd.answer };
        let knock = |number| (ours.knock(if crowd.many { number } else { 0 }), from(number));
        rush(&ours, &(0..KNOCKS).map(knock).collect::<Vec<_>>(), UNDER_WAY)
    }

    /// All rows.
    pub(crate) fn table(self) -> Table {
        self.table
    }
}
