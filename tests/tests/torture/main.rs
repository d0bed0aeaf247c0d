//! `make torture`: the ordeals that `make test` goes through, for much longer.

use std::process::ExitCode;
use std::time::Duration;

use sknock_tests::ordeal;
use sknock_tests::wait::{Limit, Stopwatch};

/// What is done, and how often.
const ORDEALS: [(&str, fn(u32), u32); 4] = [
    ("either process killed", ordeal::kills, 100),
    ("ruleset flushed", ordeal::flushes, 1000),
    ("reload beside changes by others", ordeal::reloads, 100),
    ("records of a captured network process", ordeal::requests, 1_000_000),
];

/// All are done a part at a time: where time is short, none is left out.
const PARTS: u32 = 10;

/// When no other part is begun. One that was begun ends by itself, and leaves nothing behind.
const TIME: Duration = Duration::from_secs(13 * 60);

fn main() -> ExitCode {
    let limit = Limit::new(TIME);
    let mut done = [(0, Duration::ZERO); ORDEALS.len()];
    for _ in 0..PARTS {
        for ((what, ordeal, times), (held, span)) in ORDEALS.into_iter().zip(&mut done) {
            if limit.is_over() {
                break;
            }
            println!("== {what}");
            let watch = Stopwatch::start();
            // Whatever does not hold is a panic, which ends all with an error.
            ordeal(times / PARTS);
            *held += times / PARTS;
            *span += watch.span();
        }
    }
    let mut all = true;
    for ((what, _, times), (held, span)) in ORDEALS.into_iter().zip(done) {
        println!("== {what}: held, {held} of {times} times, {span:.0?}");
        all &= held == times;
    }
    if !all {
        println!("== The time was over before all was done: this machine is too slow or too busy.");
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
