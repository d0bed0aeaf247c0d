//! The cost of one more grant when there are many.

use std::time::Duration;

use crate::contender::Contender;
use crate::figures::Growth;
use crate::sender::Sender;
use crate::series::{Series, micros_each, real};
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};
use crate::world::source;

/// Number of grants at the end.
const OPEN: usize = 1000;

/// Number of knocks per measurement.
const BLOCK: usize = 50;

/// Beyond any latency.
const PATIENCE: Duration = Duration::from_secs(1);

/// Knocks from one address after another, each after the previous grant, with measurements in between. All
/// grants remain.
pub(crate) fn grow(contender: &dyn Contender) -> Vec<Growth> {
    (0..OPEN / BLOCK).map(|block| step(contender, block * BLOCK)).collect()
}

fn step(contender: &dyn Contender, open: usize) -> Growth {
    let knocks: Vec<_> = (open..open + BLOCK).map(|number| contender.knock(number)).collect();
    let sender = Sender::of(contender.world(), PATIENCE);
    let mut events = contender.events(PATIENCE);
    let before = contender.spent();
    let mut times = Series::default();
    for (number, knock) in (open..).zip(&knocks) {
        let watch = Stopwatch::start();
        sender.send_all(knock, source(number));
        if events.grants() > 0 {
            times.push_time(watch.elapsed());
        }
    }
    let cpu = micros_each(contender.spent().since(before).both(), times.len());
    Growth { open: real(open + BLOCK / 2), cpu, time: times.median() }
}

/// The first and the last measurement, for each.
pub(crate) fn table(grown: &[(&'static str, Vec<Growth>)]) -> Table {
    let columns = ["daemon", "open", "CPU us", "median us to open", "x the first"];
    let mut table = Table::new("One more grant when many are open", &columns);
    table.note(format!(
        "One knock after another from {OPEN} addresses, each when its predecessor is open; all stay \
         open. CPU time of the daemon and all that it started, and the time until the kernel tells of \
         the grant: mean and median of {BLOCK} knocks. x: CPU time by that of the first {BLOCK}."
    ));
    for (who, looks) in grown {
        let first = looks.first().map_or(f64::NAN, |look| look.cpu);
        for look in looks.iter().step_by(looks.len().div_ceil(4).max(1)).chain(looks.last()) {
            let cells = [look.open, look.cpu, look.time, look.cpu / first].map(number);
            table.row([(*who).to_owned()].into_iter().chain(cells));
        }
    }
    table
}
