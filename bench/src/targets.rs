//! The targets of sKnock, and the results in this run: ratios, because machines differ.

use crate::figures::{FLOOR, FWKNOP, Figures, JunkCost, OURS, TUNED};
use crate::flooded::{CAPTURED, INSIDERS};
use crate::junk::{Load, NO_VEIL};
use crate::peers::NOISE;
use crate::table::{Table, number};

/// One row.
struct Target {
    what: String,
    wanted: &'static str,
    measured: f64,
    met: fn(f64) -> bool,
}

/// Not a target, but reported for comparison.
const NONE: &str = "";

/// All targets; a dash means not measured.
pub(crate) fn table(figures: &Figures) -> Table {
    let mut table = Table::new("Targets", &["figure", "target", "measured", "met"]);
    let all = speed(figures).into_iter().chain(junk(figures)).chain(floods(figures));
    for target in all.chain(scale(figures)) {
        let met = match target.measured {
            nothing if !nothing.is_finite() || target.wanted == NONE => "-",
            value if (target.met)(value) => "yes",
            _ => "no",
        };
        let cells = [target.what, target.wanted.to_owned()];
        table.row(cells.into_iter().chain([number(target.measured), met.to_owned()]));
    }
    table.note("Every ratio is of two figures of this run. A dash: not measured in this run.");
    table.note(
        "Junk: CPU time of the daemons and all that they start, for one datagram that reaches them; \
         fwknopd gets random bytes of a packet's length. With the kernel: its part of receiving and \
         filtering is added on both sides. Bursts, full rate: as in the table of junk.",
    );
    table
}

fn speed(figures: &Figures) -> Vec<Target> {
    let ours = figures.opening(OURS);
    let slower = |peer| figures.opening(peer).median() / ours.median();
    let at_most = |peer| figures.opening(peer).median() / figures.opening(FLOOR).median();
    let floor = |peer: &str, measured| Target {
        what: format!("{peer}'s by the floor's: what no daemon could reach here"),
        wanted: NONE,
        measured,
        met: |_| true,
    };
    vec![
        Target {
            what: "knock to open, median: fwknopd's by sKnock's".to_owned(),
            wanted: ">= 25",
            measured: slower(FWKNOP),
            met: |x| x >= 25.0,
        },
        floor("fwknopd", at_most(FWKNOP)),
        Target {
            what: "the same, fwknopd tuned".to_owned(),
            wanted: ">= 10",
            measured: slower(TUNED),
            met: |x| x >= 10.0,
        },
        floor("tuned fwknopd", at_most(TUNED)),
        Target {
            what: "minimum of fwknopd tuned by sKnock's p99".to_owned(),
            wanted: "> 1",
            measured: figures.opening(TUNED).min() / ours.percentile(99),
            met: |x| x > 1.0,
        },
        Target {
            what: "valid knocks/s of one core, by the crypto floor".to_owned(),
            wanted: ">= 0.85",
            measured: figures.of_floor,
            met: |x| x >= 0.85,
        },
        Target {
            what: "valid knocks/s of two cores by one".to_owned(),
            wanted: ">= 1.8",
            measured: figures.two_cores,
            met: |x| x >= 1.8,
        },
        Target {
            what: "memory of both processes, idle: MiB RSS, shared pages once".to_owned(),
            wanted: "< 12",
            measured: figures.idle_memory,
            met: |x| x < 12.0,
        },
    ]
}

fn scale(figures: &Figures) -> [Target; 2] {
    [
        Target {
            what: "open the 1,000,000th grant: by the first".to_owned(),
            wanted: "<= 2",
            measured: figures.millionth,
            met: |x| x <= 2.0,
        },
        Target {
            what: "a packet let in with 1,000,000 open: by one open (cache misses in it)"
                .to_owned(),
            wanted: "<= 1.5",
            measured: figures.matching,
            met: |x| x <= 1.5,
        },
    ]
}

fn junk(figures: &Figures) -> Vec<Target> {
    let mut targets = vec![Target {
        what: "junk, wrong length, full rate: by an nft drop".to_owned(),
        wanted: "<= 1.3",
        measured: figures.wrong_length,
        met: |x| x <= 1.3,
    }];
    for load in Load::ALL.map(Load::name) {
        targets.extend(strangers(figures, load, "", |cost| cost.processes));
        targets.extend(strangers(figures, load, ", with the kernel", JunkCost::all));
    }
    targets
}

/// Junk of the right length under one load, relative to both configurations of fwknopd.
fn strangers(
    figures: &Figures,
    load: &str,
    which: &str,
    cost: fn(&JunkCost) -> f64,
) -> [Target; 2] {
    let ours = figures.junk(OURS, NO_VEIL, load);
    let by = |peer| {
        let theirs = figures.junk(peer, NOISE, load);
        ours.zip(theirs).map_or(f64::NAN, |(ours, theirs)| cost(ours) / cost(theirs))
    };
    let what = |peer| format!("junk, right length and tag, no veil, {load}{which}: by {peer}'s");
    [
        Target { what: what("fwknopd"), wanted: "< 0.05", measured: by(FWKNOP), met: |x| x < 0.05 },
        Target {
            what: what("tuned fwknopd"),
            wanted: "< 0.5",
            measured: by(TUNED),
            met: |x| x < 0.5,
        },
    ]
}

fn floods(figures: &Figures) -> Vec<Target> {
    let opened = |kind| {
        let flooded = figures.flooded(OURS, kind);
        flooded.map_or(f64::NAN, |flooded| crate::series::real(flooded.opened))
    };
    vec![
        Target {
            what: "20 valid knocks in junk without the certificate, with a captured tag: opened"
                .to_owned(),
            wanted: "20",
            measured: opened(CAPTURED),
            met: |x| x >= 20.0,
        },
        Target {
            what: "20 valid knocks in junk with the right veil, one /24: opened".to_owned(),
            wanted: ">= 19",
            measured: opened(INSIDERS),
            met: |x| x >= 19.0,
        },
    ]
}
