//! The CPU time of refused datagrams, by kind.

mod flood;

use std::time::Duration;

use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_protocol::v2::DATAGRAM_LENGTH;

pub(crate) use self::flood::Load;
use self::flood::{Cost, FLOWS, Flood, ROUNDS};
use crate::contender::{Contender, Ours};
use crate::cpu::Softirqs;
use crate::events::Events;
use crate::figures::JunkCost;
use crate::forged::{noise, tagged, veiled_noise};
use crate::sender::Sender;
use crate::table::{Table, number};
use crate::world::{routed, source};

/// More than the server remembers after refusing them, so that each costs an ECDH each time.
const VEILED: usize = 20_000;

/// Different datagrams, sent in turn.
const DIFFERENT: usize = 256;

/// The junk table, for one daemon after another.
pub(crate) struct Junk {
    softirqs: Softirqs,
    table: Table,
    /// The sender's cost of a packet that is dropped unprocessed, for each load; by length.
    bare: Vec<(usize, [f64; 2])>,
    /// The kernel's cost of a packet that nft drops, for each load.
    dropped: [f64; 2],
}

/// One kind of junk.
pub(crate) struct Kind<'a> {
    pub(crate) name: &'a str,
    /// Sent in turn; all of one length.
    pub(crate) packets: &'a [Vec<u8>],
    pub(crate) port: u16,
}

impl Junk {
    /// Measures the cost of junk without a daemon.
    pub(crate) fn new() -> Self {
        let mut table = Table::new("CPU time for one datagram that opens nothing", COLUMNS);
        notes(&mut table);
        let softirqs = Softirqs::find();
        let world = routed();
        let packets = [noise(DATAGRAM_LENGTH)];
        let mut junk = Self { softirqs, table, bare: Vec::new(), dropped: [f64::NAN; 2] };
        let bare = junk.bare(&packets);
        world.gateway.nft(DROP);
        let nobody =
            Flood { softirqs: &junk.softirqs, to: &world, port: DEFAULT_KNOCK_PORT, daemon: None };
        let costs = Load::ALL.map(|load| nobody.cost(&packets, load));
        junk.dropped = [costs[0].sender - bare[0], costs[1].sender - bare[1]];
        for ((load, cost), bare) in Load::ALL.into_iter().zip(&costs).zip(bare) {
            junk.row("nft drop in the same place, no daemon", load, cost, bare);
        }
        junk
    }

    /// All kinds, at a sKnock daemon that protects single ports.
    pub(crate) fn of(&mut self, ours: &Ours<'_>) -> Vec<JunkCost> {
        let site = ours.site;
        let noises = |length| (0..DIFFERENT).map(|_| noise(length)).collect::<Vec<_>>();
        let tagged_noises =
            noises(DATAGRAM_LENGTH).into_iter().map(|junk| tagged(&site.server, junk)).collect();
        let veiled: Vec<_> = (0..VEILED).map(|_| veiled_noise(&site.server)).collect();
        let mut costs = Vec::new();
        for (name, packets) in [
            ("wrong length", noises(DATAGRAM_LENGTH - 1)),
            ("right length, no tag", noises(DATAGRAM_LENGTH)),
            (NO_VEIL, tagged_noises),
            ("right veil, junk inside", veiled),
        ] {
            costs.extend(
                self.kind(ours, &Kind { name, packets: &packets, port: DEFAULT_KNOCK_PORT }),
            );
        }
        let knock = site.knock(0, false);
        let patience = Duration::from_secs(1);
        let mut events = Events::of(&site.world.gateway, patience);
        Sender::of(&site.world, patience).send(&knock, source(9_998));
        let admitted = if events.grants() > 0 { "admitted" } else { "lost" };
        let name = &format!("{admitted} knock, repeated");
        costs.extend(
            self.kind(ours, &Kind { name, packets: &[knock.to_vec()], port: DEFAULT_KNOCK_PORT }),
        );
        costs
    }

    /// The wrong length, at a daemon in deny-all mode; relative to an nft `drop`, at the full rate.
    pub(crate) fn of_closed(&mut self, ours: &Ours<'_>) -> f64 {
        let packets: Vec<_> = (0..DIFFERENT).map(|_| noise(DATAGRAM_LENGTH - 1)).collect();
        let name = "wrong length, policy drop for all traffic";
        let costs = self.kind(ours, &Kind { name, packets: &packets, port: DEFAULT_KNOCK_PORT });
        costs.last().map_or(f64::NAN, |cost| cost.all() / self.dropped[1])
    }

    /// All rows.
    pub(crate) fn table(self) -> Table {
        self.table
    }

    /// One kind, under each load.
    pub(crate) fn kind(&mut self, daemon: &dyn Contender, kind: &Kind<'_>) -> Vec<JunkCost> {
        let bare = self.bare(kind.packets);
        let name = format!("{}: {}", daemon.name(), kind.name);
        let mut measured = Vec::new();
        for (load, bare) in Load::ALL.into_iter().zip(bare) {
            let softirqs = &self.softirqs;
            let flood =
                Flood { softirqs, to: daemon.world(), port: kind.port, daemon: Some(daemon) };
            let cost = flood.cost(kind.packets, load);
            measured.push(JunkCost {
                who: daemon.name(),
                kind: kind.name.to_owned(),
                load: load.name(),
                processes: cost.network + cost.privileged,
                kernel: cost.sender - bare,
            });
            self.row(&name, load, &cost, bare);
        }
        measured
    }

    fn bare(&mut self, packets: &[Vec<u8>]) -> [f64; 2] {
        // A few bytes make no difference.
        let length = packets.first().map_or(0, |packet| packet.len() / 64);
        if let Some((_, known)) = self.bare.iter().find(|(known, _)| *known == length) {
            return *known;
        }
        let world = routed();
        world.gateway.nft(UNSEEN);
        let nobody =
            Flood { softirqs: &self.softirqs, to: &world, port: DEFAULT_KNOCK_PORT, daemon: None };
        let costs = Load::ALL.map(|load| nobody.cost(packets, load).sender);
        self.bare.push((length, costs));
        costs
    }

    fn row(&mut self, name: &str, load: Load, cost: &Cost, bare: f64) {
        let kernel = cost.sender - bare;
        let all = kernel + cost.processes;
        let dropped = self.dropped[usize::from(load == Load::Full)];
        let costs = [cost.network, cost.privileged, kernel, all, all / dropped];
        self.table.row(
            [name.to_owned(), load.name().to_owned(), number(cost.per_second)]
                .into_iter()
                .chain([cost.lost.to_string()])
                .chain(costs.map(number)),
        );
    }
}

/// A sender that knows the knock port and has captured a tag.
pub(crate) const NO_VEIL: &str = "right length and tag, no veil";

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

/// Drops everything at ingress: the rest is the cost of sending.
const UNSEEN: &str = "table netdev bench {
    chain unseen { type filter hook ingress device cl priority 0; meta protocol ip drop; }
}";

/// In the hook and after the rules where the daemon's own chain would drop it.
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
    table.note("The processes of fwknopd: itself and all that it starts.");
    table.note(
        "nft drop: `udp dport 62344 drop` in a prerouting chain of priority mangle, behind `lo` and \
         conntrack state, without any daemon.",
    );
}
