//! How long it takes from a knock to an open door, on an idle machine.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};

use crate::events::Events;
use crate::sender::Sender;
use crate::series::Series;
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};
use crate::world::{GATEWAY, PORT, Site, source};

const KNOCKS: usize = 300;

/// Between two knocks everybody has gone to sleep.
const REST: Duration = Duration::from_millis(8);

/// Beyond any latency: what takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// The latency table, for one daemon after another, each with its default of one worker a core.
pub(crate) struct Latency<'a> {
    site: &'a Site,
    table: Table,
    /// So that no address knocks twice.
    used: usize,
}

const COLUMNS: &[&str] =
    &["from the datagram's send until", "n", "lost", "median us", "p99 us", "min us", "max us"];

impl<'a> Latency<'a> {
    /// No rows yet.
    pub(crate) fn new(site: &'a Site) -> Self {
        let mut table = Table::new("Knock to open, idle, IPv4", COLUMNS);
        table.note(format!(
            "{REST:?} between knocks; each from an address of its own, certificates known; nothing is \
             pinned, one worker for each core. \"Lost\": not within {PATIENCE:?}."
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

    /// Measures the daemon that runs.
    pub(crate) fn of(&mut self, intake: &str) {
        let mut told = Told::default();
        let events = &mut Events::of(&self.site.world.gateway, PATIENCE);
        let sender = Sender::of(&self.site.world, PATIENCE);
        for number in 0..KNOCKS {
            told.knock(self.site, &sender, events, self.used + number);
        }
        self.line(&format!("{intake}: the element is in the kernel"), &told.kernel);
        self.line(&format!("{intake}: the client has the answer"), &told.answer);
        self.used += KNOCKS;
        let (opened, attempts) = connected(self.site, &sender, self.used);
        self.used += KNOCKS;
        self.line(&format!("{intake}: a TCP connection is established"), &opened);
        self.table.note(format!(
            "{intake}: a refused connect() takes {} us (median), which is the resolution.",
            number(attempts.median())
        ));
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

/// Until the first connection, and how long attempts before it took.
fn connected(site: &Site, sender: &Sender, first: usize) -> (Series, Series) {
    let world = &site.world;
    let listener = world.gateway.inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)));
    let listener = listener.expect("nobody else is there");
    let (mut opened, mut attempts) = (Series::default(), Series::default());
    world.client.inside(|| {
        for number in first..first + KNOCKS {
            thread::sleep(REST);
            let packet = site.knock(number, false);
            let watch = Stopwatch::start();
            sender.send(&packet, source(number));
            while watch.elapsed() < PATIENCE {
                let attempt = Stopwatch::start();
                if connects(source(number)) {
                    opened.push_time(watch.elapsed());
                    drop(listener.accept());
                    break;
                }
                attempts.push_time(attempt.elapsed());
            }
        }
    });
    (opened, attempts)
}

fn connects(from: Ipv4Addr) -> bool {
    let kind = (AddressFamily::Inet, SockType::Stream);
    let socket = socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, None).expect("a free descriptor");
    let address = |ip, port| SockaddrStorage::from(SocketAddr::new(ip, port));
    bind(socket.as_raw_fd(), &address(from.into(), 0)).expect("the crowd's address is ours");
    connect(socket.as_raw_fd(), &address(GATEWAY, PORT)).is_ok()
}
