//! All at once: 100,000 certificates, 10,000 networks, a CRL of a million entries that changes with each fetch, junk, and
//! 20 valid knocks a second.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_protocol::{DEFAULT_KNOCK_PORT, Identity};
use sknock_tests::forge::Forge;
use sknock_tests::{Daemon, Page, Reply, Web, World};

use super::clients::everybody;
use super::kernel::{self, Resident};
use super::lists::{DIFFERENT, WEB, list};
use crate::QUIET;
use crate::contender::Ours;
use crate::figures::OURS;
use crate::forged::{noise, tagged};
use crate::rush::rush;
use crate::sender::Sender;
use crate::series::{Series, per_second};
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};
use crate::world::{Site, source};

/// Source addresses of junk.
const NETWORKS: usize = 10_000;
/// Between two valid knocks.
const PACE: Duration = Duration::from_millis(50);
/// How long each row is measured.
const ROW: Duration = Duration::from_secs(20);
/// After this time no answer is expected.
const PATIENCE: Duration = Duration::from_secs(1);
/// Datagrams of junk between two pauses of a millisecond.
const BURST: usize = 10;

/// Measures a daemon.
pub(super) fn measure(site: &Site) -> Table {
    let (everybody, forge) = (everybody(site), Forge::with_key_of(&site.authority));
    let web = Web::start(&site.world.client, WEB, Reply::Page(Page::plain(site.authority.crl())));
    let config = site
        .config()
        .without("crlFile")
        .without("knocksPerSource")
        .set("crlUrl", &web.url(World::CLIENT[0], "/crl.der"))
        .set("CRL_UPDATE_INTERVAL_IN_MINUTES", "0.1");
    let daemon = site.start(&config, QUIET);
    let mut together =
        Together { site, daemon: &daemon, everybody: &everybody, used: 0, table: table() };
    together.all_knock_once();
    together.row("nothing else", &[]);
    let random = noise(DATAGRAM_LENGTH);
    let with_tag = tagged(&site.server, random.clone());
    together.row("junk without tag", &[&random]);
    together.row("junk with a tag", &[&with_tag]);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| change_list(&web, &forge, &ended));
        daemon.wait_for("new CRL in force");
        together.row("a new CRL every 6 s", &[]);
        together.row("all of it", &[&random, &with_tag]);
        ended.store(true, Ordering::Relaxed);
    });
    together.table
}

fn table() -> Table {
    let columns = [
        "beside 20 knocks a second",
        "knocks",
        "lost",
        "median us",
        "p99",
        "max",
        "junk/s",
        "CRLs",
        "network MiB at most",
        "privileged MiB at most",
    ];
    let mut table = Table::new("100,000 certificates and 10,000 networks", &columns);
    table.note(format!(
        "Every certificate has knocked once before. Each row takes {ROW:?}. Latency: from a knock until its answer; \
         lost: no answer within {PATIENCE:?}. Junk comes from {NETWORKS} addresses in turn, {BURST} datagrams a \
         millisecond. Each CRL has 1,000,000 entries, 1 % of them new."
    ));
    table
}

/// Every request for the CRL gets the next one.
fn change_list(web: &Web, forge: &Forge, ended: &AtomicBool) {
    let numbers = AtomicU32::new(0);
    while !ended.load(Ordering::Relaxed) {
        let next = numbers.fetch_add(1, Ordering::Relaxed);
        web.reply(Reply::Page(Page::plain(list(forge, 1_000 + next, next * DIFFERENT))));
        let before = web.requests().len();
        while web.requests().len() == before && !ended.load(Ordering::Relaxed) {
            thread::sleep(PACE);
        }
    }
}

struct Together<'a> {
    site: &'a Site,
    daemon: &'a Daemon<'a>,
    everybody: &'a [Identity],
    used: usize,
    table: Table,
}

impl Together<'_> {
    fn all_knock_once(&mut self) {
        let ours = Ours { name: OURS, site: self.site, daemon: self.daemon, answer: false };
        let knock = |(number, client): (usize, &Identity)| {
            let packet = self.site.knock_of(client, false).to_vec();
            (vec![(DEFAULT_KNOCK_PORT, packet)], source(number))
        };
        for some in self.everybody.chunks(5_000) {
            // Sealed just before, so that their timestamps are recent.
            let knocks: Vec<_> = some.iter().enumerate().map(knock).collect();
            rush(&ours, &knocks, 128);
        }
    }

    fn row(&mut self, what: &str, junk: &[&Vec<u8>]) {
        for process in [self.daemon.network(), self.daemon.parent()] {
            kernel::forget_peak(process);
        }
        let (ended, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        let lists = self.daemon.times_said("new CRL in force");
        let watch = Stopwatch::start();
        let (latency, knocks) = thread::scope(|scope| {
            if !junk.is_empty() {
                scope.spawn(|| flood(self.site, junk, &ended, &sent));
            }
            let measured = self.knock_for(ROW);
            ended.store(true, Ordering::Relaxed);
            measured
        });
        let junk = per_second(sent.into_inner(), watch.elapsed());
        let lists = self.daemon.times_said("new CRL in force") - lists;
        let peak = [self.daemon.network(), self.daemon.parent()].map(|one| Resident::of(one).peak);
        let counts = [knocks, knocks - latency.len()].map(|count| count.to_string());
        let times = [latency.median(), latency.percentile(99), latency.max(), junk].map(number);
        let cells = [what.to_owned()].into_iter().chain(counts).chain(times);
        self.table.row(cells.chain([lists.to_string()]).chain(peak.map(number)));
    }

    /// Each knock is of another certificate, from another address.
    fn knock_for(&mut self, time: Duration) -> (Series, usize) {
        let sender = Sender::of(&self.site.world, PATIENCE);
        let (mut latency, mut knocks, all) = (Series::default(), 0, Stopwatch::start());
        while all.elapsed() < time {
            thread::sleep(PACE);
            // A prime: neighbours in this order knocked long after each other.
            let client = &self.everybody[self.used * 7_919 % self.everybody.len()];
            let packet = self.site.knock_of(client, true);
            (self.used, knocks) = (self.used + 1, knocks + 1);
            let watch = Stopwatch::start();
            sender.send(&packet, source(NETWORKS + self.used));
            if sender.hears() {
                latency.push_time(watch.elapsed());
            }
        }
        (latency, knocks)
    }
}

/// Sends junk until `ended`.
fn flood(site: &Site, junk: &[&Vec<u8>], ended: &AtomicBool, sent: &AtomicUsize) {
    let sender = Sender::of(&site.world, PATIENCE);
    let mut number = 0;
    while !ended.load(Ordering::Relaxed) {
        for _ in 0..BURST {
            sender.send(junk[number % junk.len()], source(number % NETWORKS));
            number += 1;
        }
        sent.store(number, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }
}
