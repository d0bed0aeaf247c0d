//! Other programs, with the same measurements in the same namespaces: Debian's fwknopd and knockd.

mod fwknop;
mod knockd;
mod running;

use std::process::{Command, Stdio};

use self::fwknop::{Fwknop, Tuning};
use self::knockd::Knockd;
use crate::contender::Contender;
use crate::cpu;
use crate::figures::{Figures, OURS};
use crate::flooded::{Junk as Flood, LETTERS, MANY, STRANGERS, flood};
use crate::forged::noise;
use crate::growth::grow;
use crate::junk::{Junk, Kind};
use crate::opening::{Family, Opened, knock_and_connect};
use crate::rush::{Round, rush};
use crate::series::{Series, micros_each, per_second};
use crate::table::{Table, number};
use crate::wanted::Wanted;
use crate::world::source;

/// Number of knocks for a new daemon: these programs become slower with grants, which is another table.
const KNOCKS: usize = 50;
const STARTS: usize = 6;

/// Number of knocks at the maximum rate, for a new daemon.
const CROWD: usize = 100;
const ROUNDS: usize = 3;

/// Maximum number of pending knocks: they fit into fwknopd's default socket buffer, and knockd gets complete
/// sequences.
const UNDER_WAY: usize = 32;

/// Different datagrams, sent in turn.
const DIFFERENT: usize = 64;

/// Junk with only the length of a packet.
pub(crate) const NOISE: &str = "random bytes, a packet's length";

/// Their versions, for the conditions; panics with a remedy if they are not installed.
pub(crate) fn versions() -> String {
    for program in ["fwknopd", "fwknop", "knockd", fwknop::IPTABLES] {
        let quiet = || Stdio::null();
        let found = Command::new(program).arg("-V").stdout(quiet()).stderr(quiet()).status();
        assert!(found.is_ok(), "`{program}` is missing: make bench-peers installs it");
    }
    let dpkg = Command::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${Version}, "])
        .args(["fwknop-server", "fwknop-client", "knockd", "iptables"])
        .output();
    let text = dpkg.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    format!("Peers: {}.\n", text.unwrap_or_default().trim_end_matches(", "))
}

/// Measures all of them for the requested tables; rows of junk go to sKnock's table.
pub(crate) fn measure(
    wanted: &Wanted,
    figures: &mut Figures,
    mut junk: Option<&mut Junk>,
) -> [Table; 2] {
    let (mut opening, mut rate) = (opening_table(), rate_table());
    for tuning in [Tuning::Default, Tuning::Best] {
        if wanted.any(&["latency"]) {
            idle(|| pinned(tuning), figures, &mut opening);
        }
        // Each daemon slows down with its file of earlier knocks: each measurement starts a new one.
        if wanted.any(&["throughput"]) {
            busy(|| pinned(tuning), &mut rate);
        }
        if let Some(junk) = &mut junk {
            trash(&pinned(tuning), figures, junk);
        }
        if wanted.any(&["flood"]) {
            flooded(tuning, figures);
        }
        if wanted.any(&["growth"]) {
            let fwknop = pinned(tuning);
            figures.growth.push((fwknop.name(), grow(&fwknop)));
        }
    }
    let knockd = || {
        let knockd = Knockd::start();
        knockd.keep_on(cpu::DAEMON);
        knockd
    };
    if wanted.any(&["latency"]) {
        idle(knockd, figures, &mut opening);
    }
    if wanted.any(&["throughput"]) {
        busy(knockd, &mut rate);
    }
    [opening, rate]
}

fn pinned(tuning: Tuning) -> Fwknop {
    let fwknop = Fwknop::start(tuning);
    fwknop.keep_on(cpu::DAEMON);
    fwknop
}

fn opening_table() -> Table {
    let columns = [
        "until a TCP connection is established",
        "n",
        "lost",
        "median us",
        "p99 us",
        "min us",
        "max us",
        "x sKnock",
    ];
    let mut table = Table::new("Knock to open, idle: peers", &columns);
    table.note(format!(
        "As above, IPv4, with the same sender; each daemon is started {STARTS} times, for {KNOCKS} \
         knocks. fwknopd: UDP server, AES and HMAC-SHA256, packets made by fwknop before. fwknopd, \
         tuned: RULES_CHECK_THRESHOLD 0, and CMD_CYCLE_OPEN, which runs `nft add element` on a set \
         with timeouts. knockd: three UDP ports, sent at once; iptables. x: median by sKnock's."
    ));
    table
}

fn idle<P: Contender>(start: impl Fn() -> P, figures: &mut Figures, table: &mut Table) {
    let mut who = "";
    let mut all = Opened::default();
    for number in 0..STARTS {
        let peer = start();
        let knocks = number * KNOCKS..(number + 1) * KNOCKS;
        let knock = |number| peer.knock(number);
        all.add(&knock_and_connect(peer.world(), Family::V4, knocks, knock));
        who = peer.name();
    }
    let Opened { connected, refused } = all;
    let ours = figures.opening(OURS).median();
    let lost = STARTS * KNOCKS - connected.len();
    let counts = [connected.len(), lost].map(|count| count.to_string());
    let times = [connected.median(), connected.percentile(99), connected.min(), connected.max()];
    let times = times.into_iter().chain([connected.median() / ours]).map(number);
    table.row([who.to_owned()].into_iter().chain(counts).chain(times));
    let refused = number(refused.median());
    table.note(format!("{who}: a refused connect() takes {refused} us (median)."));
    figures.opening.push((who, connected));
}

fn rate_table() -> Table {
    let columns = ["daemon", "knocks", "granted", "knocks/s", "CPU us per knock", "core busy %"];
    let mut table = Table::new("Valid knocks of one core: peers", &columns);
    table.note(format!(
        "{ROUNDS} rounds of {CROWD} knocks from as many addresses, the daemon started for each; \
         medians. {UNDER_WAY} knocks on their way at a time; the daemon and all that it starts on one \
         core, the sender on another. CPU: of all of them."
    ));
    table
}

fn busy<P: Contender>(start: impl Fn() -> P, table: &mut Table) {
    let mut who = "";
    let rounds: Vec<Round> = (0..ROUNDS)
        .map(|_| {
            let peer = start();
            who = peer.name();
            let knock = |number| (peer.knock(number), source(number));
            rush(&peer, &(0..CROWD).map(knock).collect::<Vec<_>>(), UNDER_WAY)
        })
        .collect();
    let median = |of: &dyn Fn(&Round) -> f64| rounds.iter().map(of).collect::<Series>().median();
    let granted: usize = rounds.iter().map(|round| round.granted).sum();
    let counts = [ROUNDS * CROWD, granted].map(|count| count.to_string());
    let rates = [
        median(&|round| per_second(round.granted, round.took)),
        median(&|round| micros_each(round.spent.both(), round.granted)),
        median(&|round| round.spent.both().as_secs_f64() / round.took.as_secs_f64() * 100.0),
    ];
    table.row([who.to_owned()].into_iter().chain(counts).chain(rates.map(number)));
}

/// Junk of both kinds.
fn trash(fwknop: &Fwknop, figures: &mut Figures, junk: &mut Junk) {
    for (name, packets) in [(NOISE, noises(fwknop)), (LETTERS, mutated(fwknop))] {
        let kind = Kind { name, packets: &packets, port: fwknop::PORT };
        figures.junk.extend(junk.kind(fwknop, &kind));
    }
}

/// Valid knocks during the same junk.
fn flooded(tuning: Tuning, figures: &mut Figures) {
    for (kind, junk) in [(STRANGERS, noises as fn(&Fwknop) -> _), (LETTERS, mutated)] {
        let fwknop = pinned(tuning);
        let datagrams = &junk(&fwknop);
        let junk = Flood { kind, datagrams, port: fwknop::PORT, addresses: MANY };
        figures.flooded.push(flood(&fwknop, &junk));
    }
}

fn noises(fwknop: &Fwknop) -> Vec<Vec<u8>> {
    let length = fwknop.packet(0).len();
    (0..DIFFERENT).map(|_| noise(length)).collect()
}

/// Still base64, so that only the HMAC is wrong.
fn mutated(fwknop: &Fwknop) -> Vec<Vec<u8>> {
    let valid = fwknop.packet(0);
    let mutated = (0..DIFFERENT).map(|number| {
        let mut packet = valid.clone();
        if let Some(letter) = packet.get_mut(20 + number) {
            *letter = if *letter == b'A' { b'B' } else { b'A' };
        }
        packet
    });
    mutated.collect()
}
