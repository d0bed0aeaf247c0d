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

/// Measures with the daemon's default of one worker for each core.
pub(crate) fn measure(site: &Site) -> Table {
    let columns =
        ["from the datagram's send until", "n", "lost", "median us", "p99 us", "min us", "max us"];
    let mut table = Table::new("Knock to open, idle, IPv4", &columns);
    let mut told = Told::default();
    let events = &mut Events::of(&site.world.gateway, PATIENCE);
    let sender = Sender::of(&site.world, PATIENCE);
    for number in 0..KNOCKS {
        told.knock(site, &sender, events, number);
    }
    line(&mut table, "the element is in the kernel", &told.kernel);
    line(&mut table, "the client has the answer", &told.answer);
    let (opened, attempt) = connected(site, &sender);
    line(&mut table, "a TCP connection is established", &opened);
    table.note(format!(
        "{REST:?} between knocks; each from an address of its own, certificates known; daemon not \
         pinned, {} workers. \"Lost\": not within {PATIENCE:?}.",
        daemon_workers(),
    ));
    table.note(
        "In the kernel: its own event for the element, read from netlink by the sending thread. \
         The answer is sent after the gate has confirmed.",
    );
    table.note(format!(
        "Connection: connect() over and over from the client's address, each a new SYN that policy \
         `reject` resets at once, until one succeeds. A refused attempt takes {} us (median), which \
         is the resolution, and keeps one of the cores busy.",
        number(attempt.median()),
    ));
    table
}

fn daemon_workers() -> usize {
    thread::available_parallelism().map_or(0, usize::from)
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
fn connected(site: &Site, sender: &Sender) -> (Series, Series) {
    let world = &site.world;
    let listener = world.gateway.inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)));
    let listener = listener.expect("nobody else is there");
    let (mut opened, mut attempts) = (Series::default(), Series::default());
    world.client.inside(|| {
        for number in KNOCKS..2 * KNOCKS {
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

fn line(table: &mut Table, what: &str, series: &Series) {
    let lost = KNOCKS - series.len();
    let times = [series.median(), series.percentile(99), series.min(), series.max()].map(number);
    let counts = [series.len().to_string(), lost.to_string()];
    table.row([what.to_owned()].into_iter().chain(counts).chain(times));
}
