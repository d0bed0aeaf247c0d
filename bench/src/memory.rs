//! What both processes hold in memory.

use std::fs;

use nix::unistd::Pid;
use sknock_tests::Daemon;

use crate::table::{Table, number};

/// One look at one process, in KiB, as `/proc/PID/smaps_rollup` has it.
struct Held {
    rss: f64,
    shared_out: f64,
    private: f64,
    anonymous: f64,
}

/// The table; looks are added as the bench goes on.
pub(crate) struct Memory(Table);

impl Memory {
    /// No looks yet.
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

    /// Looks at both processes.
    pub(crate) fn look(&mut self, when: &str, daemon: &Daemon<'_>) {
        let held = [daemon.parent(), daemon.network()].map(Held::by);
        let [privileged, network] = &held;
        let both = Held::sum(privileged, network);
        for (name, held) in [("privileged", privileged), ("network", network), ("both", &both)] {
            let cells = [held.rss, held.shared_out, held.private, held.anonymous];
            let cells = cells.map(|kib| number(kib / 1024.0));
            self.0.row([when.to_owned(), name.to_owned()].into_iter().chain(cells));
        }
    }

    /// All looks.
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
