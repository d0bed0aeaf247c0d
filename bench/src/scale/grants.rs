//! A million grants: making, matching, memory, expiry, and restoring.

use std::thread;
use std::time::Duration;

use nix::unistd::Pid;
use sknock_tests::World;

use super::doors::{Doors, MOST, Took, timed};
use super::kernel::{self, Kernel, Resident};
use super::packets::{From, Packets};
use crate::figures::Figures;
use crate::report::Report;
use crate::series::{Series, micros};
use crate::table::{Table, number, percent};

/// Grants that are measured one by one.
const ONE_BY_ONE: u32 = 4000;

/// The numbers of grants at the measurements.
const STEPS: [u32; 4] = [0, 10_000, 100_000, MOST - ONE_BY_ONE];

/// Intervals of the kernel's garbage collection.
const INTERVALS: [u64; 3] = [1, 2, 5];

/// How long its work is measured.
const WATCHED: Duration = Duration::from_secs(10);

/// The daemon's interval.
const USUAL: Duration = Duration::from_secs(2);

/// Measures a gate in this process.
pub(super) fn measure(figures: &mut Figures, report: &mut Report) {
    let world = World::new();
    let packets = Packets::of(&world);
    let (mut grown, mut memory) = (grown_table(), Held::table());
    let before = Held::now();
    let (mut doors, raised) = timed(|| Doors::of(&world.gateway, USUAL));
    Held::now().row(&mut memory, before, 0);
    let mut whole = vec![("put up, nothing open", raised, f64::NAN)];
    let looks = STEPS.map(|open| {
        doors.open_until(open);
        let look = row(&mut grown, open, &mut doors, &packets);
        if open == 100_000 {
            let (took, peak) = peaking(|| timed(|| Doors::of(&world.gateway, USUAL)).1);
            whole.push(("taken over by the next gate, 104,000 open", took, peak));
        }
        look
    });
    let [first, .., last] = looks;
    figures.millionth = last[0] / first[0];
    // From addresses in random order: no data of a grant is in the CPU's caches.
    figures.matching = last[5] / first[4];
    report.tell(&grown);
    Held::now().row(&mut memory, before, MOST);
    report.tell(&memory);
    report.tell(&whole_table(&world, whole, &mut doors));
    report.tell(&collecting_table(&mut doors));
}

fn grown_table() -> Table {
    let columns = [
        "open before",
        "elapsed us",
        "p99",
        "max",
        "CPU us",
        "packet of one us",
        "packet of any us",
    ];
    let mut table =
        Table::new("Grants: cost of one more, and of a packet that one lets in", &columns);
    table.note(format!(
        "A gate in this process, {ONE_BY_ONE} single openings for each row, each a transaction of its \
         own: median, 99th percentile and maximum of the elapsed time, mean of the thread's CPU."
    ));
    table.note(
        "Packet: the kernel's CPU for one UDP packet to the protected port, without the sender's part; \
         dropped right behind our chain. Of one: always from the address that was granted first. Of \
         any: from any of the million addresses, of which as many are let in as are open.",
    );
    table
}

/// All figures of the row.
fn row(table: &mut Table, open: u32, doors: &mut Doors, packets: &Packets<'_>) -> [f64; 6] {
    let (mut elapsed, mut cpu) = (Series::default(), Duration::ZERO);
    for _ in 0..ONE_BY_ONE {
        let took = doors.open_one();
        elapsed.push_time(took.elapsed);
        cpu += took.cpu;
    }
    let costs = [
        elapsed.median(),
        elapsed.percentile(99),
        elapsed.max(),
        micros(cpu / ONE_BY_ONE),
        packets.kernel(From::One),
        packets.kernel(From::Any),
    ];
    table.row([open.to_string()].into_iter().chain(costs.map(number)));
    costs
}

/// The memory of gate and kernel.
#[derive(Clone, Copy)]
struct Held {
    gate: f64,
    kernel: Kernel,
}

impl Held {
    fn table() -> Table {
        let columns = ["open", "gate MiB", "kernel objects MiB", "kernel mapped MiB"];
        let mut table = Table::new("Grants: memory", &columns);
        table.note(
            "Gate: growth of this process. Kernel objects: kmalloc-cg-* of /proc/slabinfo. Kernel \
             mapped: VmallocUsed. Both are the whole machine's, so others' work is in them.",
        );
        table
    }

    fn now() -> Self {
        Self { gate: Resident::of(Pid::this()).now, kernel: Kernel::now() }
    }

    fn row(self, table: &mut Table, before: Self, open: u32) {
        let grown = [
            self.gate - before.gate,
            self.kernel.objects - before.kernel.objects,
            self.kernel.mapped - before.kernel.mapped,
        ];
        table.row([open.to_string()].into_iter().chain(grown.map(number)));
    }
}

/// An operation on the whole table: its cost, and its peak memory in additional MiB.
type Whole = (&'static str, Took, f64);

fn whole_table(world: &World, mut whole: Vec<Whole>, doors: &mut Doors) -> Table {
    let columns = ["all of it", "elapsed ms", "CPU ms", "gate's peak MiB more"];
    let mut table = Table::new("Grants: the whole table at once", &columns);
    let (took, peak) = peaking(|| doors.reload(USUAL));
    whole.push(("reload, 1,000,000 open", took, peak));
    let (_, took) = timed(|| world.gateway.nft("flush ruleset"));
    whole.push(("flush by somebody else (nft)", Took { cpu: Duration::ZERO, ..took }, f64::NAN));
    let (took, peak) = peaking(|| doors.reassert());
    whole.push(("put back after it", took, peak));
    for (what, took, peak) in whole {
        let times = [took.elapsed, took.cpu].map(|time| number(micros(time) / 1000.0));
        table.row([what.to_owned()].into_iter().chain(times).chain([number(peak)]));
    }
    table.note(
        "Taken over: as after a restart. The kernel lists a set in quadratic time: 1,000,000 would \
         take a hundred times as long, which nobody waits for here.",
    );
    table
}

fn peaking(work: impl FnOnce() -> Took) -> (Took, f64) {
    let before = Resident::of(Pid::this()).now;
    kernel::forget_peak(Pid::this());
    let took = work();
    (took, Resident::of(Pid::this()).peak - before)
}

fn collecting_table(doors: &mut Doors) -> Table {
    let columns = ["gc-interval s", "kernel threads, of one core"];
    let mut table = Table::new("Grants: collecting what has expired, 1,000,000 open", &columns);
    for seconds in INTERVALS {
        doors.reload(Duration::from_secs(seconds));
        // The kernel frees the old table asynchronously.
        thread::sleep(Duration::from_secs(1));
        let before = kernel::workers();
        thread::sleep(WATCHED);
        let spent = kernel::workers().saturating_sub(before);
        let share = spent.as_secs_f64() / WATCHED.as_secs_f64();
        table.row([seconds.to_string(), percent(share)]);
    }
    table.note(format!(
        "CPU of all kworker threads during {WATCHED:?}, with whatever else they did; nothing expires."
    ));
    table
}
