//! The replay memory, from empty to full: its size, and the cost of one more knock.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::Pid;
use sknock_protocol::{KnockId, Timestamp};
use sknock_server::knock::replay::{
    BootId, Journal, OneTimeKey, Recorded, ReplayEntry, ReplayStore,
};
use sknock_tests::wait::now;

use super::doors::timed;
use super::kernel::Resident;
use crate::series::{Series, micros};
use crate::table::{Table, number};

/// Twice the default of `TIMESTAMP_THRESHOLD_IN_SECONDS` at 6,000 knocks a second; and
/// `replayCapacity`, by default.
const STEPS: [u32; 4] = [0, 84_000, 500_000, 995_000];
const CAPACITY: u32 = 1_000_000;

/// Admissions that are measured for a row.
const MEASURED: u32 = 4_000;

/// Longer than the run: no knock is forgotten.
const WINDOW: Duration = Duration::from_secs(3600);

/// Measures a journal in a folder of its own.
pub(super) fn measure() -> Table {
    let columns = ["remembered before", "admit us", "p99", "max", "memory MiB", "journal MiB"];
    let mut table = Table::new("Replay memory: cost of one more", &columns);
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let start = now();
    let before = Resident::of(Pid::this()).now;
    let journal = open(folder.path(), start);
    let (mut known, mut pause) = (0, 0.0_f64);
    for step in STEPS {
        pause = (known..step).map(|number| admit(&journal, number, start)).fold(pause, f64::max);
        let costs: Series = (step..step + MEASURED).map(|n| admit(&journal, n, start)).collect();
        known = step + MEASURED;
        let memory = Resident::of(Pid::this()).now - before;
        let costs = [costs.median(), costs.percentile(99), costs.max()];
        let held = [memory, on_disk(folder.path())];
        table.row([step.to_string()].into_iter().chain(costs.into_iter().chain(held).map(number)));
    }
    table.note(format!(
        "A journal in this process and on this disk, {MEASURED} admissions for each row. The longest of \
         those between the rows took {} ms: now and then the journal is written anew, and knocks wait.",
        number(pause / 1000.0)
    ));
    let again =
        (0..known).filter(|n| journal.record(&trace(*n, start), start) == Recorded::Replayed);
    let (refused, took) = timed(|| again.count());
    let each = number(micros(took.elapsed / known));
    table.note(format!("{refused} of {known} are refused the second time, in {each} us each."));
    drop(journal);
    let (journal, took) = timed(|| open(folder.path(), start));
    let again =
        (0..known).filter(|n| journal.record(&trace(*n, start), start) == Recorded::Replayed);
    table.note(format!(
        "Read back after a kill in {} ms of CPU; of all, {} are refused.",
        number(micros(took.cpu) / 1000.0),
        again.count()
    ));
    table
}

/// The time of one admission, in microseconds.
fn admit(journal: &Journal, number: u32, start: Timestamp) -> f64 {
    let trace = trace(number, start);
    let (used, took) = timed(|| journal.record(&trace, start));
    assert_eq!(used, Recorded::New, "knock {number}");
    micros(took.elapsed)
}

/// A hundred timestamps per millisecond, ascending. Ids and keys are distributed like hashes.
fn trace(number: u32, start: Timestamp) -> ReplayEntry {
    let stamp = start.after(Duration::from_millis((number / 100).into()));
    let mixed = (u128::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let half = mixed.to_be_bytes();
    let mut id = [0; 32];
    id[..16].copy_from_slice(&half);
    id[16..].copy_from_slice(&half);
    ReplayEntry { stamp, id: KnockId(id), key: OneTimeKey(half) }
}

fn open(folder: &Path, start: Timestamp) -> Journal {
    let boot: BootId = "00000000-0000-0000-0000-000000000001".parse().expect("a boot id");
    // A new journal refuses timestamps before its start plus a window.
    let begun = start.before(3 * WINDOW);
    let capacity = usize::try_from(CAPACITY).expect("64 bits");
    Journal::open(folder, &boot, begun, WINDOW, capacity).expect("our folder").0
}

fn on_disk(folder: &Path) -> f64 {
    let length = |name| fs::metadata(folder.join(name)).expect("it is there").len();
    let both = length("journal.0") + length("journal.1");
    f64::from(u32::try_from(both).expect("64 bytes each")) / f64::from(1 << 20)
}
