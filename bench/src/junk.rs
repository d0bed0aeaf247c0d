//! What a datagram costs that opens nothing: CPU time by kind.

mod flood;

use std::time::Duration;

use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::Daemon;

use self::flood::{Cost, FLOWS, Flood, Load, ROUNDS};
use crate::cpu::Softirqs;
use crate::events::Events;
use crate::forged::{noise, veiled_noise};
use crate::sender::Sender;
use crate::table::{Table, number};
use crate::world::{Site, routed, source};

/// Different datagrams, sent in turn.
const DIFFERENT: usize = 256;

/// The junk table, for one daemon after another.
pub(crate) struct Junk {
    softirqs: Softirqs,
    table: Table,
    /// What the sender needs for a packet that nobody looks at, for each load.
    bare: [f64; 2],
    /// The kernel's part of a packet that nft drops, for each load.
    dropped: [f64; 2],
}

impl Junk {
    /// Measures what junk costs where there is no daemon.
    pub(crate) fn new() -> Self {
        let mut table = Table::new("CPU time for one datagram that opens nothing", COLUMNS);
        notes(&mut table);
        let softirqs = Softirqs::find();
        let world = routed();
        let packets = [noise(DATAGRAM_LENGTH)];
        let nobody = Flood { softirqs: &softirqs, to: &world, daemon: None };
        world.gateway.nft(UNSEEN);
        let bare = Load::ALL.map(|load| nobody.cost(&packets, load).sender);
        world.gateway.nft("flush ruleset");
        world.gateway.nft(DROP);
        let costs = Load::ALL.map(|load| nobody.cost(&packets, load));
        let dropped = [costs[0].sender - bare[0], costs[1].sender - bare[1]];
        let mut junk = Self { softirqs, table, bare, dropped };
        for (index, cost) in costs.iter().enumerate() {
            junk.row("nft drop in the same place, no daemon", index, cost);
        }
        junk
    }

    /// All kinds, at a daemon that protects single ports.
    pub(crate) fn of(&mut self, site: &Site, daemon: &Daemon<'_>, intake: &str) {
        let mut kind = |name: &str, packets: &[Vec<u8>]| {
            self.kind(site, daemon, &format!("{intake}: {name}"), packets);
        };
        let noises = |length| (0..DIFFERENT).map(|_| noise(length)).collect::<Vec<_>>();
        kind("wrong length (1199)", &noises(DATAGRAM_LENGTH - 1));
        kind("right length, no veil", &noises(DATAGRAM_LENGTH));
        let veiled: Vec<_> = (0..DIFFERENT).map(|_| veiled_noise(&site.server)).collect();
        kind("right veil, junk inside", &veiled);

        let knock = site.knock(0, false);
        let patience = Duration::from_secs(1);
        let mut events = Events::of(&site.world.gateway, patience);
        Sender::of(&site.world, patience).send(&knock, source(9_998));
        let admitted = if events.grants() > 0 { "admitted" } else { "lost" };
        kind(&format!("{admitted} knock, repeated"), &[knock.to_vec()]);
    }

    /// The wrong length, at a daemon that drops all traffic.
    pub(crate) fn of_closed(&mut self, site: &Site, daemon: &Daemon<'_>) {
        let packets: Vec<_> = (0..DIFFERENT).map(|_| noise(DATAGRAM_LENGTH - 1)).collect();
        self.kind(site, daemon, "nflog: wrong length, policy drop for all traffic", &packets);
    }

    /// All rows.
    pub(crate) fn table(self) -> Table {
        self.table
    }

    fn kind(&mut self, site: &Site, daemon: &Daemon<'_>, name: &str, packets: &[Vec<u8>]) {
        for (index, load) in Load::ALL.into_iter().enumerate() {
            let flood = Flood { softirqs: &self.softirqs, to: &site.world, daemon: Some(daemon) };
            let cost = flood.cost(packets, load);
            self.row(name, index, &cost);
        }
    }

    fn row(&mut self, name: &str, load: usize, cost: &Cost) {
        let kernel = cost.sender - self.bare[load];
        let all = kernel + cost.processes;
        let costs = [cost.network, cost.privileged, kernel, all, all / self.dropped[load]];
        self.table.row(
            [name.to_owned(), Load::ALL[load].name().to_owned(), number(cost.per_second)]
                .into_iter()
                .chain([cost.lost.to_string()])
                .chain(costs.map(number)),
        );
    }
}

const COLUMNS: &[&str] = &[
    "junk",
    "load",
    "packets/s",
    "lost",
    "network us",
    "privileged us",
    "kernel us",
    "all us",
    "x nft drop",
];

/// Drops everything before anybody looks at it: what is left is the cost of sending.
const UNSEEN: &str = "table netdev bench {
    chain unseen { type filter hook ingress device cl priority 0; policy drop; }
}";

/// Where and behind what the daemon's own chain would drop it.
const DROP: &str = "table inet bench {
    chain deny {
        type filter hook prerouting priority mangle; policy accept;
        iif lo accept
        ct state established,related accept
        udp dport 62344 drop
    }
}";

fn notes(table: &mut Table) {
    table.note(format!(
        "{ROUNDS} rounds, medians; {} datagrams a round in bursts of ten a millisecond, and {} at the \
         sender's full rate, from {FLOWS} addresses in turn; one sending thread on a core of its own, \
         a daemon with one worker and both processes on another.",
        Load::Bursts.count(),
        Load::Full.count(),
    ));
    table.note(
        "lost: no room in a full UDP socket (RcvbufErrors) or netlink socket (Drops), of all rounds. \
         network, privileged: CPU time of the process for one datagram not lost; of those under the \
         right veil the network process turns some away when its own queue is full.",
    );
    table.note(
        "kernel: CPU time of the sending thread, in which the kernel also receives, and of ksoftirqd, \
         for one datagram sent, less what the same thread needs when the cable's far end drops it at \
         once (netdev ingress). all: kernel and both processes, for one datagram sent.",
    );
    table.note(
        "nft drop: `udp dport 62344 drop` in a prerouting chain of the same priority, behind `lo` and \
         conntrack state, without any daemon.",
    );
}
