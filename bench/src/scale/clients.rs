//! Many more client certificates than the daemon caches (10,000).

use std::time::Duration;

use sknock_protocol::{DEFAULT_KNOCK_PORT, Identity};
use sknock_tests::Daemon;
use sknock_tests::forge::Forge;

use super::kernel::Resident;
use crate::QUIET;
use crate::contender::Ours;
use crate::cpu::{self, Spent};
use crate::figures::OURS;
use crate::rush::{Round, rush};
use crate::series::{micros_each, per_second};
use crate::table::{Table, number};
use crate::world::{Site, source};

const CLIENTS: usize = 100_000;

/// Knocks that are encrypted and sent before the next ones: their timestamps must be recent on arrival.
const AT_ONCE: usize = 5_000;

/// Pending knocks: enough that the daemon never waits, few enough that none is lost.
const UNDER_WAY: usize = 128;

/// Measures a daemon.
pub(super) fn measure(site: &Site) -> Table {
    let columns = [
        "who knocks",
        "knocks",
        "granted",
        "knocks/s/core",
        "network us",
        "privileged us",
        "network MiB",
    ];
    let mut table = Table::new("Different certificates", &columns);
    table.note(
        "One worker, both processes on one core; no answers wanted. us: CPU of each process for one \
         grant. MiB: resident at the end. The daemon remembers 10,000 certificates.",
    );
    let everybody = everybody(site);
    let daemon = site.start(&site.config().set("workers", "1"), QUIET);
    cpu::keep_on(&daemon, &[cpu::DAEMON]);
    site.introduce();
    let mut crowds = Crowds { site, daemon: &daemon, used: 0, table };
    crowds.row("5,000 certificates, the first time", everybody.chunks(AT_ONCE).take(1));
    crowds.row("the same, twice more", std::iter::repeat_n(&everybody[..AT_ONCE], 2));
    crowds.row("95,000 others, once each", everybody.chunks(AT_ONCE).skip(1));
    crowds.table
}

/// [`CLIENTS`] certificates.
pub(super) fn everybody(site: &Site) -> Vec<Identity> {
    let forge = Forge::with_key_of(&site.authority);
    let identity = |number| forge.client(&format!("client-{number}"), |_| ()).identity();
    (0..CLIENTS).map(identity).collect()
}

struct Crowds<'a> {
    site: &'a Site,
    daemon: &'a Daemon<'a>,
    /// So that no address knocks twice within a minute.
    used: usize,
    table: Table,
}

impl Crowds<'_> {
    fn row<'c>(&mut self, who: &str, crowds: impl Iterator<Item = &'c [Identity]>) {
        let rounds: Vec<Round> = crowds.map(|crowd| self.round(crowd)).collect();
        let granted = rounds.iter().map(|round| round.granted).sum();
        let took: Duration = rounds.iter().map(|round| round.took).sum();
        let spent = |of: fn(&Spent) -> Duration| {
            micros_each(rounds.iter().map(|round| of(&round.spent)).sum(), granted)
        };
        let figures = [
            per_second(granted, took),
            spent(|spent| spent.network),
            spent(|spent| spent.privileged),
            Resident::of(self.daemon.network()).now,
        ];
        let counts = [(rounds.len() * AT_ONCE).to_string(), granted.to_string()];
        let cells = [who.to_owned()].into_iter().chain(counts);
        self.table.row(cells.chain(figures.map(number)));
    }

    fn round(&mut self, crowd: &[Identity]) -> Round {
        let first = self.used;
        self.used += crowd.len();
        let knock = |(number, client)| {
            let packet = self.site.knock_of(client, false).to_vec();
            (vec![(DEFAULT_KNOCK_PORT, packet)], source(first + number))
        };
        let ours = Ours { name: OURS, site: self.site, daemon: self.daemon, answer: false };
        rush(&ours, &crowd.iter().enumerate().map(knock).collect::<Vec<_>>(), UNDER_WAY)
    }
}
