//! The time from a knock to its grant, on an idle machine.

use std::thread;

use sknock_tests::Daemon;

use crate::bare;
use crate::contender::Contender;
use crate::events::Events;
use crate::figures::{FLOOR, Figures, OURS, OURS_V6};
use crate::opening::{Family, Opened, PATIENCE, REST, knock_and_connect};
use crate::sender::Sender;
use crate::series::Series;
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};
use crate::world::{Site, source};

const KNOCKS: usize = 300;

/// The latency table, for one daemon after another, each with its default of one worker a core.
pub(crate) struct Latency<'a> {
    site: &'a Site,
    table: Table,
    /// So that each address knocks once.
    used: usize,
}

const COLUMNS: &[&str] =
    &["from the datagram's send until", "n", "lost", "median us", "p99 us", "min us", "max us"];

impl<'a> Latency<'a> {
    /// No rows yet.
    pub(crate) fn new(site: &'a Site) -> Self {
        let mut table = Table::new("Knock to open, idle", COLUMNS);
        table.note(format!(
            "{REST:?} between knocks; each from an address of its own, certificates known; the \
             daemon and all that it starts on one core, the sender on the other. \"Lost\": not within {PATIENCE:?}."
        ));
        table.note(
            "In the kernel: its own event for the element, read from netlink by the sending thread. \
             The answer is sent after the gate has confirmed.",
        );
        table.note(
            "Connection: connect() over and over from the client's address, each a new SYN that policy \
             `reject` resets at once, until one succeeds. This keeps one of the cores busy.",
        );
        Self { site, table, used: 0 }
    }

    /// Measures the minimal opener, while no daemon runs.
    pub(crate) fn floor(&mut self, figures: &mut Figures) {
        let Opened { connected, .. } = bare::opening(self.site, KNOCKS);
        self.used += KNOCKS;
        self.line("floor: a TCP connection is established", &connected);
        self.table.note(
            "Floor: one privileged thread that waits at a socket, makes the cryptographic calls of a knock and \
             adds one element; it checks, remembers and tells nothing.",
        );
        figures.opening.push((FLOOR, connected));
    }

    /// Measures the running daemon; the result of the default intake is kept for plots.
    pub(crate) fn of(&mut self, intake: &str, daemon: &Daemon<'_>, figures: &mut Figures) {
        let mut told = Told::default();
        let events = &mut Events::of(&self.site.world.gateway, PATIENCE);
        let sender = Sender::of(&self.site.world, PATIENCE);
        for number in 0..KNOCKS {
            told.knock(self.site, &sender, events, self.used + number);
        }
        self.used += KNOCKS;
        self.line(&format!("{intake}: the element is in the kernel"), &told.kernel);
        self.line(&format!("{intake}: the client has the answer"), &told.answer);
        let ours = self.site.ours(OURS, daemon);
        for (family, kept, name) in [(Family::V4, OURS, ""), (Family::V6, OURS_V6, "IPv6, ")] {
            let knocks = self.used..self.used + KNOCKS;
            let Opened { connected, refused } =
                knock_and_connect(&self.site.world, family, knocks, |number| ours.knock(number));
            self.used += KNOCKS;
            let what = format!("{intake}: {name}a TCP connection is established");
            self.line(&what, &connected);
            self.table.note(format!(
                "{what}: a refused connect() takes {} us (median), which is the resolution.",
                number(refused.median())
            ));
            if intake == "nflog" {
                figures.opening.push((kept, connected));
            }
        }
    }

    fn line(&mut self, what: &str, series: &Series) {
        let lost = KNOCKS - series.len();
        let times = [series.median(), series.percentile(99), series.min(), series.max()];
        let counts = [series.len().to_string(), lost.to_string()];
        let cells = [what.to_owned()].into_iter().chain(counts).chain(times.map(number));
        self.table.row(cells);
    }

    /// All rows.
    pub(crate) fn table(self) -> Table {
        self.table
    }
}

#[derive(Default)]
struct Told {
    kernel: Series,
    answer: Series,
}

impl Told {
    fn knock(&mut self, site: &Site, sender: &Sender, events: &mut Events, number: usize) {
        thread::sleep(REST);
        let packet = site.knock(number, true);
        let watch = Stopwatch::start();
        sender.send(&packet, source(number));
        if events.grants() == 0 {
            return;
        }
        self.kernel.push_time(watch.elapsed());
        if sender.hears() {
            self.answer.push_time(watch.elapsed());
        }
    }
}
