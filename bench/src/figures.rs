//! The few figures of a run that plots and targets are made of. Everything else is in tables.

use crate::series::Series;

/// sKnock, with its default intake.
pub(crate) const OURS: &str = "sKnock";
/// The same, over IPv6.
pub(crate) const OURS_V6: &str = "sKnock, IPv6";
/// The least that could open.
pub(crate) const FLOOR: &str = "floor";
/// fwknopd's UDP server with its defaults.
pub(crate) const FWKNOP: &str = "fwknopd";
/// The fastest that we could make it.
pub(crate) const TUNED: &str = "fwknopd, tuned";
/// knockd with three UDP ports.
pub(crate) const KNOCKD: &str = "knockd";

/// What has been measured in this run.
#[derive(Debug)]
pub(crate) struct Figures {
    /// From knock to TCP connection, in microseconds, by who opened.
    pub(crate) opening: Vec<(&'static str, Series)>,
    /// What junk costs.
    pub(crate) junk: Vec<JunkCost>,
    /// What a knock costs with so many grants open, by who opened.
    pub(crate) growth: Vec<(&'static str, Vec<Growth>)>,
    /// Valid knocks during floods.
    pub(crate) flooded: Vec<Flooded>,
    /// Valid knocks/s of one core, as a share of what bare library calls allow.
    pub(crate) of_floor: f64,
    /// Valid knocks/s of two cores, by those of one.
    pub(crate) two_cores: f64,
    /// A datagram of the wrong length, by the cost of an nft `drop`.
    pub(crate) wrong_length: f64,
    /// Median time to open one of the last grants before 1,000,000, by that of the first ones.
    pub(crate) millionth: f64,
    /// The kernel's cost of a packet that a grant lets in with 1,000,000 open, by that with one.
    pub(crate) matching: f64,
    /// RSS of both processes before any knock, in MiB.
    pub(crate) idle_memory: f64,
}

/// CPU time for one datagram that opens nothing, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct JunkCost {
    pub(crate) who: &'static str,
    pub(crate) kind: String,
    /// Bursts or full rate, as its table says.
    pub(crate) load: &'static str,
    /// Of the daemon and all that it started, for one datagram that reached it.
    pub(crate) processes: f64,
    /// Of the kernel, which receives, filters and copies, for one that was sent.
    pub(crate) kernel: f64,
}

/// A look at a daemon with many grants open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// Open when it was looked at.
    pub(crate) open: f64,
    /// CPU time for one more, in microseconds.
    pub(crate) cpu: f64,
    /// Until the kernel had one more, in microseconds; median.
    pub(crate) time: f64,
}

/// Valid knocks in the middle of junk.
#[derive(Clone, Debug)]
pub(crate) struct Flooded {
    pub(crate) who: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) sent: usize,
    pub(crate) opened: usize,
    /// Datagrams a second.
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
    /// How long it took to open; empty if it was not measured.
    pub(crate) fn opening(&self, who: &str) -> Series {
        let found = self.opening.iter().find(|(name, _)| *name == who);
        found.map(|(_, series)| series.clone()).unwrap_or_default()
    }

    /// What junk of this kind costs under this load, if it was measured.
    pub(crate) fn junk(&self, who: &str, kind: &str, load: &str) -> Option<&JunkCost> {
        let mut costs = self.junk.iter().filter(|cost| cost.load == load);
        costs.find(|cost| cost.who == who && cost.kind == kind)
    }

    /// How many got through a flood, if it was measured.
    pub(crate) fn flooded(&self, who: &str, kind: &str) -> Option<&Flooded> {
        self.flooded.iter().find(|flood| flood.who == who && flood.kind == kind)
    }
}

impl JunkCost {
    /// All of it.
    pub(crate) fn all(&self) -> f64 {
        self.processes + self.kernel
    }
}
