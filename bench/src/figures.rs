//! The figures of a run for plots and targets. All others are only in tables.

use crate::series::Series;

/// sKnock, with its default intake.
pub(crate) const OURS: &str = "sKnock";
/// The same, over IPv6.
pub(crate) const OURS_V6: &str = "sKnock, IPv6";
/// The minimal opener.
pub(crate) const FLOOR: &str = "floor";
/// fwknopd's UDP server with default settings.
pub(crate) const FWKNOP: &str = "fwknopd";
/// The fastest configuration that we found.
pub(crate) const TUNED: &str = "fwknopd, tuned";
/// knockd with three UDP ports.
pub(crate) const KNOCKD: &str = "knockd";

/// The figures measured in this run.
#[derive(Debug)]
pub(crate) struct Figures {
    /// From knock to TCP connection, in microseconds, by daemon.
    pub(crate) opening: Vec<(&'static str, Series)>,
    /// The costs of junk.
    pub(crate) junk: Vec<JunkCost>,
    /// The cost of a knock by the number of grants, by daemon.
    pub(crate) growth: Vec<(&'static str, Vec<Growth>)>,
    /// Valid knocks during floods.
    pub(crate) flooded: Vec<Flooded>,
    /// Valid knocks/s of one core, relative to bare library calls.
    pub(crate) of_floor: f64,
    /// Valid knocks/s of two cores, relative to one.
    pub(crate) two_cores: f64,
    /// The cost of a datagram of the wrong length, relative to an nft `drop`.
    pub(crate) wrong_length: f64,
    /// Median time of the last grants before 1,000,000, relative to that of the first ones.
    pub(crate) millionth: f64,
    /// The kernel's cost of a granted packet with 1,000,000 grants, relative to one.
    pub(crate) matching: f64,
    /// RSS of both processes before any knock, in MiB.
    pub(crate) idle_memory: f64,
}

/// CPU time for one datagram without a grant, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct JunkCost {
    pub(crate) who: &'static str,
    pub(crate) kind: String,
    /// Bursts or full rate, as in its table.
    pub(crate) load: &'static str,
    /// Of the daemon and its children, per datagram that reached it.
    pub(crate) processes: f64,
    /// Of the kernel, which receives, filters and copies, per datagram sent.
    pub(crate) kernel: f64,
}

/// A measurement of a daemon with many grants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// The number of grants.
    pub(crate) open: f64,
    /// CPU time for one more, in microseconds.
    pub(crate) cpu: f64,
    /// Median time until one more is in force, in microseconds.
    pub(crate) time: f64,
}

/// Valid knocks during junk.
#[derive(Clone, Debug)]
pub(crate) struct Flooded {
    pub(crate) who: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) sent: usize,
    pub(crate) opened: usize,
    /// Datagrams per second.
    pub(crate) junk: f64,
}

impl Default for Figures {
    fn default() -> Self {
        let not_yet = f64::NAN;
        Self {
            opening: Vec::new(),
            junk: Vec::new(),
            growth: Vec::new(),
            flooded: Vec::new(),
            of_floor: not_yet,
            two_cores: not_yet,
            wrong_length: not_yet,
            millionth: not_yet,
            matching: not_yet,
            idle_memory: not_yet,
        }
    }
}

impl Figures {
    /// The opening times; empty if not measured.
    pub(crate) fn opening(&self, who: &str) -> Series {
        let found = self.opening.iter().find(|(name, _)| *name == who);
        found.map(|(_, series)| series.clone()).unwrap_or_default()
    }

    /// The cost of junk of this kind under this load, if measured.
    pub(crate) fn junk(&self, who: &str, kind: &str, load: &str) -> Option<&JunkCost> {
        let mut costs = self.junk.iter().filter(|cost| cost.load == load);
        costs.find(|cost| cost.who == who && cost.kind == kind)
    }

    /// The valid knocks during a flood, if measured.
    pub(crate) fn flooded(&self, who: &str, kind: &str) -> Option<&Flooded> {
        self.flooded.iter().find(|flood| flood.who == who && flood.kind == kind)
    }
}

impl JunkCost {
    /// The sum.
    pub(crate) fn all(&self) -> f64 {
        self.processes + self.kernel
    }
}
