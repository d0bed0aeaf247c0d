//! CRLs with a million entries: the cost of loading one, and its effect on knocks.

use std::thread;
use std::time::Duration;

use sknock_tests::forge::{Forge, HOUR, List};
use sknock_tests::wait::now;
use sknock_tests::{Daemon, Page, Reply, Web, World};

use super::kernel::{self, Resident};
use crate::QUIET;
use crate::cpu::Spent;
use crate::sender::Sender;
use crate::series::{Series, micros_each, real};
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};
use crate::world::{Site, source};

const ENTRIES: u32 = 1_000_000;

/// How many entries the next CRL replaces by others.
pub(super) const DIFFERENT: u32 = 10_000;

/// The port of the web server.
pub(super) const WEB: u16 = 8080;

/// Between two knocks.
const REST: Duration = Duration::from_millis(1);

/// How long knocks are measured before a CRL is in force, and afterwards: until then its grants are closed.
const WATCHED: Duration = Duration::from_secs(6);

/// After this time no answer is expected.
const PATIENCE: Duration = Duration::from_secs(1);

/// Measures a daemon.
pub(super) fn measure(site: &Site) -> Table {
    let forge = Forge::with_key_of(&site.authority);
    let web = Web::start(&site.world.client, WEB, Reply::Page(Page::plain(site.authority.crl())));
    let config = site
        .config()
        .without("crlFile")
        .set("crlUrl", &web.url(World::CLIENT[0], "/crl.der"))
        .set("CRL_UPDATE_INTERVAL_IN_MINUTES", "0.1");
    let daemon = site.start(&config, QUIET);
    site.introduce();
    let mut watch = Watched::new(site, &web, &daemon);
    watch.row("before", |_, elapsed| elapsed > WATCHED);
    for (number, what) in [(1_000, "1,000,000 entries"), (1_001, "the next, 1 % of it new")] {
        let first = (number - 1_000) * DIFFERENT;
        web.reply(Reply::Page(Page::plain(list(&forge, number, first))));
        watch.next_fetch();
        let before = watch.in_force();
        watch.row(&format!("{what}: being loaded"), |watch, _| watch.in_force() > before);
        watch.row(&format!("{what}: closing"), |_, elapsed| elapsed > WATCHED);
    }
    watch.table
}

/// A CRL with `number` entries from `first` on.
pub(super) fn list(forge: &Forge, number: u32, first: u32) -> Vec<u8> {
    let serial = |number: u32| {
        // An odd multiplier: serial numbers look random and never repeat.
        let odd = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128;
        (u128::from(number) + 1).wrapping_mul(odd).to_be_bytes()
    };
    let serials: Vec<_> = (first..first + ENTRIES).map(serial).collect();
    let revoked: Vec<&[u8]> = serials.iter().map(|serial| &serial[..]).collect();
    let (made, due) = (now(), now().after(HOUR));
    forge.list(&List { number: number.into(), made, due, revoked: &revoked })
}

/// Continuous knocks.
struct Watched<'a> {
    site: &'a Site,
    web: &'a Web,
    daemon: &'a Daemon<'a>,
    sender: Sender,
    used: usize,
    /// CPU time of each process per knock on an otherwise idle daemon, in microseconds.
    usual: Option<[f64; 2]>,
    resident: f64,
    table: Table,
}

impl<'a> Watched<'a> {
    fn new(site: &'a Site, web: &'a Web, daemon: &'a Daemon<'a>) -> Self {
        let columns = [
            "revocation list",
            "seconds",
            "knocks",
            "lost",
            "median us",
            "p99",
            "max",
            "network CPU ms",
            "gate CPU ms",
            "MiB more",
            "at most",
        ];
        let mut table = Table::new("A revocation list of 1,000,000 entries, by HTTP", &columns);
        table.note(format!(
            "Latency: from a knock until its answer; one knock at a time, {REST:?} between them, one \
             worker for each core."
        ));
        table.note(
            "CPU of both processes without what they need for as many knocks before. MiB: resident \
             memory of the network process more than before, at the end and at most.",
        );
        let resident = Resident::of(daemon.network()).now;
        let sender = Sender::of(&site.world, PATIENCE);
        Self { site, web, daemon, sender, used: 0, usual: None, resident, table }
    }

    /// The number of CRLs that have come into force.
    fn in_force(&self) -> usize {
        self.daemon.times_said("new CRL in force")
    }

    /// Waits until the daemon fetches the CRL.
    fn next_fetch(&self) {
        let before = self.web.requests().len();
        while self.web.requests().len() == before {
            thread::sleep(REST);
        }
    }

    /// Knocks until `enough` is true.
    fn row(&mut self, what: &str, enough: impl Fn(&Self, Duration) -> bool) {
        kernel::forget_peak(self.daemon.network());
        let (before, watch) = (Spent::by(self.daemon), Stopwatch::start());
        let (mut latency, mut knocks) = (Series::default(), 0);
        while !enough(self, watch.elapsed()) {
            thread::sleep(REST);
            knocks += 1;
            if let Some(took) = self.knock() {
                latency.push_time(took);
            }
        }
        let (took, spent) = (watch.elapsed(), Spent::by(self.daemon).since(before));
        let resident = Resident::of(self.daemon.network());
        let each = [spent.network, spent.privileged].map(|time| micros_each(time, knocks));
        let usual = *self.usual.get_or_insert(each);
        let more = |now: f64, usual: f64| (now - usual) * real(knocks) / 1000.0;
        let times = [latency.median(), latency.percentile(99), latency.max()];
        let costs = [
            more(each[0], usual[0]),
            more(each[1], usual[1]),
            resident.now - self.resident,
            resident.peak - self.resident,
        ];
        let counts = [knocks, knocks - latency.len()].map(|count| count.to_string());
        let cells = [what.to_owned(), number(took.as_secs_f64())].into_iter().chain(counts);
        self.table.row(cells.chain(times.map(number)).chain(costs.map(number)));
    }

    /// The time until the answer, if one arrives.
    fn knock(&mut self) -> Option<Duration> {
        let packet = self.site.knock(self.used, true);
        self.used += 1;
        let watch = Stopwatch::start();
        self.sender.send(&packet, source(self.used));
        self.sender.hears().then(|| watch.elapsed())
    }
}
