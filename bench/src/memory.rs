//! The memory of both processes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;
use sknock_tests::Daemon;

use crate::table::{Table, number};

/// One measurement of one process, in KiB, from `/proc/PID/smaps_rollup`.
struct Held {
    rss: f64,
    shared_out: f64,
    private: f64,
    anonymous: f64,
}

/// The table; measurements are added during the run.
pub(crate) struct Memory(Table);

impl Memory {
    /// Without measurements.
    pub(crate) fn new() -> Self {
        let columns = ["when", "process", "RSS MiB", "PSS MiB", "private MiB", "anonymous MiB"];
        let mut table = Table::new("Memory of both processes", &columns);
        table.note(
            "From /proc/PID/smaps_rollup. RSS counts every resident page in full, also those of the \
             program and its libraries that both processes (and others) share; PSS counts a shared \
             page by the share of each that has it; private pages belong to that process alone.",
        );
        Self(table)
    }

    /// Measures both processes; returns the sum of their RSS in MiB.
    pub(crate) fn look(&mut self, when: &str, daemon: &Daemon<'_>) -> f64 {
        let held = [daemon.parent(), daemon.network()].map(Held::by);
        let [privileged, network] = &held;
        let mut both = Held::sum(privileged, network);
        both.rss = in_either([daemon.parent(), daemon.network()]);
        for (name, held) in [("privileged", privileged), ("network", network), ("both", &both)] {
            let cells = [held.rss, held.shared_out, held.private, held.anonymous];
            let cells = cells.map(|kib| number(kib / 1024.0));
            self.0.row([when.to_owned(), name.to_owned()].into_iter().chain(cells));
        }
        both.rss / 1024.0
    }

    /// All measurements.
    pub(crate) fn table(self) -> Table {
        self.0
    }
}

impl Held {
    fn by(process: Pid) -> Self {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"));
        let text = text.expect("root may read it");
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let value = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            value.unwrap_or(f64::NAN)
        };
        Self {
            rss: kib("Rss"),
            shared_out: kib("Pss"),
            private: kib("Private_Clean") + kib("Private_Dirty"),
            anonymous: kib("Anonymous"),
        }
    }

    fn sum(one: &Self, other: &Self) -> Self {
        Self {
            rss: one.rss + other.rss,
            shared_out: one.shared_out + other.shared_out,
            private: one.private + other.private,
            anonymous: one.anonymous + other.anonymous,
        }
    }
}

/// Resident pages in any of the processes, in KiB.
fn in_either<const N: usize>(processes: [Pid; N]) -> f64 {
    let frames: BTreeSet<u64> = processes.into_iter().flat_map(frames).collect();
    #[expect(clippy::cast_precision_loss, reason = "a machine has fewer than 2^52 pages")]
    let kib = (frames.len() * PAGE / 1024) as f64;
    kib
}

/// Bytes in a page of the machines that this runs on.
const PAGE: usize = 4096;

/// The page frames of a process's resident pages. `/proc/PID/pagemap` has 8 bytes for each page: bit 63 is
/// set if it is resident, bits 0 to 54 are the frame.
fn frames(process: Pid) -> Vec<u64> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("root may read it");
    let pagemap = File::open(format!("/proc/{process}/pagemap")).expect("root may read it");
    let mut frames = Vec::new();
    // The address of the vsyscall page exceeds a signed file offset.
    for line in maps.lines().filter(|line| !line.ends_with("[vsyscall]")) {
        let span = line.split_once(' ').and_then(|(span, _)| span.split_once('-'));
        let (first, end) = span.expect("a range");
        let page = |text| usize::from_str_radix(text, 16).expect("hexadecimal") / PAGE;
        let mut entries = vec![0; (page(end) - page(first)) * 8];
        let at = page(first) as u64 * 8;
        let read = pagemap.read_at(&mut entries, at).expect("root may read it");
        frames.extend(entries[..read].as_chunks::<8>().0.iter().filter_map(|entry| {
            let entry = u64::from_ne_bytes(*entry);
            (entry >> 63 == 1).then_some(entry & ((1 << 55) - 1))
        }));
    }
    frames
}
