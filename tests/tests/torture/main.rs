//! `make torture`: the ordeals that `make test` goes through, for much longer.

use sknock_tests::ordeal;
use sknock_tests::wait::Stopwatch;

/// What is done, and how often.
const ORDEALS: [(&str, fn(u32), u32); 4] = [
    ("either process killed", ordeal::kills, 100),
    ("ruleset flushed", ordeal::flushes, 1000),
    ("reload beside changes by others", ordeal::reloads, 100),
    ("records of a captured network process", ordeal::requests, 1_000_000),
];

fn main() {
    for (what, ordeal, times) in ORDEALS {
        println!("== {what}, {times} times");
        let watch = Stopwatch::start();
        // Whatever does not hold is a panic, which ends all with an error.
        ordeal(times);
        println!("== {what}, {times} times: held, {:.0?}", watch.span());
    }
}
