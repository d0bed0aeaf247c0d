//! The program's output: text for people, one line of JSON for scripts.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use sknock::plain_text::{escaped, one_line};
use sknock::{Doubt, Granted, OpenPort, Protocol, Verified};

use crate::arguments::{Goal, Task};
use crate::failure::Failure;

/// Reports a grant on stdout.
pub(crate) fn opened(task: &Task, opened: &OpenPort, doubts: &[Doubt]) -> Result<(), Failure> {
    let (json, notes) = (task.options.json, notes(task, opened, doubts));
    let line = if json {
        to_json(&Open::of(task, opened, notes.as_slice()))
    } else {
        one_line(&text(task, opened)).into_owned()
    };
    writeln!(io::stdout(), "{line}").map_err(Failure::Report)?;
    if !json {
        for about in &notes {
            note(about);
        }
    }
    Ok(())
}

/// Reports a connection on stderr, because stdout carries the connection: JSON if requested, else only notes.
pub(crate) fn connected(task: &Task, opened: &OpenPort, doubts: &[Doubt]) {
    let notes = notes(task, opened, doubts);
    if task.options.json {
        // A failed write must not end the connection.
        writeln!(io::stderr(), "{}", to_json(&Open::of(task, opened, &notes))).ok();
    } else {
        for about in &notes {
            note(about);
        }
    }
}

/// Reports a failure where success would have been reported, or as text on stderr.
pub(crate) fn failed(task: &Task, failure: &Failure) {
    let written = if task.options.json {
        let message = failure.to_string();
        let line = Failed {
            result: "failed",
            host: &task.host,
            error: failure.name(),
            exit: failure.code(),
            message,
            observed: failure.observed(),
        };
        match task.goal {
            Goal::Knock(_) => writeln!(io::stdout(), "{}", to_json(&line)),
            Goal::Connect(_) => writeln!(io::stderr(), "{}", to_json(&line)),
        }
    } else {
        let hint = failure.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        writeln!(io::stderr(), "sknock: {}{hint}", one_line(&failure.to_string()))
    };
    written.ok(); // the exit code reports the result, too
}

/// A note that does not change the outcome.
pub(crate) fn note(about: &str) {
    writeln!(io::stderr(), "sknock: note: {}", one_line(about)).ok(); // ignored if stderr is closed
}

fn text(task: &Task, opened: &OpenPort) -> String {
    let address = opened.destination.to_string();
    let host = if task.host == address { address } else { format!("{} ({address})", task.host) };
    let services: Vec<String> = opened.services.iter().map(ToString::to_string).collect();
    let (services, is) = match &services[..] {
        [] => ("everything that your certificate allows".into(), "is"),
        [one] => (one.clone(), "is"),
        many => (many.join(", "), "are"),
    };
    match (&opened.granted, opened.verified) {
        (Some(Granted { seconds, took, clipped, observed, .. }), _) => {
            let less = if *clipped { ", less than requested" } else { "" };
            let (took, to) = (took.as_millis(), observed.ip());
            format!(
                "{services} on {host} {is} open to {to} for {seconds} s{less} (answer in {took} ms)"
            )
        }
        (None, Verified::No) => format!("{services} on {host}: knocked, not verified"),
        (None, _) => {
            let why = without_answer(task);
            format!("{services} on {host} {is} reachable, but {why}")
        }
    }
}

#[derive(Serialize)]
struct Open<'a> {
    result: &'static str,
    host: &'a str,
    destination: String,
    services: Vec<String>,
    verified: &'static str,
    seconds: Option<u16>,
    clipped: Option<bool>,
    observed: Option<SocketAddr>,
    clock_skew_ms: Option<i64>,
    answer_ms: Option<u64>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Failed<'a> {
    result: &'static str,
    host: &'a str,
    error: &'static str,
    exit: u8,
    message: String,
    /// The client address of the grant, if there is one.
    observed: Option<SocketAddr>,
}

impl<'a> Open<'a> {
    fn of(task: &'a Task, opened: &OpenPort, notes: &'a [String]) -> Self {
        let granted = opened.granted.as_ref();
        Self {
            result: match opened.verified {
                Verified::Answer => "open",
                Verified::Connection => "reachable",
                Verified::No => "sent",
            },
            host: &task.host,
            destination: opened.destination.to_string(),
            services: opened.services.iter().map(ToString::to_string).collect(),
            verified: match opened.verified {
                Verified::Answer => "answer",
                Verified::Connection => "connection",
                Verified::No => "no",
            },
            seconds: granted.map(|granted| granted.seconds),
            clipped: granted.map(|granted| granted.clipped),
            observed: granted.map(|granted| granted.observed),
            clock_skew_ms: granted.map(|granted| granted.clock_skew_ms),
            answer_ms: granted
                .map(|granted| u64::try_from(granted.took.as_millis()).unwrap_or(u64::MAX)),
            notes,
        }
    }
}

fn to_json(line: &impl Serialize) -> String {
    let json = serde_json::to_string(line).expect("strings, numbers and booleans have a JSON form");
    escaped(&json, true).into_owned()
}

/// A larger clock difference is noted: by default, servers refuse from 7 s on.
const SKEW_WORTH_A_NOTE_MS: u64 = 2000;

/// Notes about a success that may not repeat. In text output, `knock` reports itself that no answer arrived.
fn notes(task: &Task, opened: &OpenPort, doubts: &[Doubt]) -> Vec<String> {
    let clock = opened.granted.and_then(|granted| clock(granted.clock_skew_ms, granted.took));
    let mentioned = matches!(task.goal, Goal::Knock(_)) && !task.options.json;
    let expected = task.options.protocol == Protocol::V1;
    let silent = opened.verified == Verified::Connection && !mentioned && !expected;
    let silent = silent.then(|| without_answer(task).to_owned());
    clock.into_iter().chain(silent).chain(doubts.iter().map(ToString::to_string)).collect()
}

/// The reason why a port is reachable although no server answered.
fn without_answer(task: &Task) -> &'static str {
    match task.options.protocol {
        Protocol::V1 => "not verified: v1 servers do not answer",
        Protocol::V2 => {
            "no answer arrived: it was lost, an earlier grant is active, or the port is not \
             protected"
        }
    }
}

/// The skew is known to half of the time that the answer `took`, which may have been seconds.
fn clock(skew_ms: i64, took: Duration) -> Option<String> {
    let off = skew_ms.unsigned_abs();
    let uncertain = u64::try_from(took.as_millis() / 2).unwrap_or(u64::MAX);
    let side = if skew_ms > 0 { "behind" } else { "ahead of" };
    let seconds = format!("{}.{}", off / 1000, off % 1000 / 100);
    (off.saturating_sub(uncertain) > SKEW_WORTH_A_NOTE_MS).then(|| {
        format!(
            "the clock of this machine is {seconds} s {side} that of the server. Servers refuse \
             knocks that differ by more than a few seconds. Synchronise it"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_mentioned() {
        let at_once = |skew| clock(skew, Duration::ZERO);
        assert_eq!(at_once(2000), None);
        assert_eq!(at_once(-2000), None);
        assert!(at_once(3210).unwrap().contains("3.2 s behind"));
        assert!(at_once(-61_050).unwrap().contains("61.0 s ahead of"));
        assert!(at_once(i64::MIN).is_some());
        // The answer was late: the clocks may agree.
        assert_eq!(clock(3210, Duration::from_secs(3)), None);
        assert!(clock(3210, Duration::from_secs(2)).is_some());
        assert_eq!(clock(i64::MIN, Duration::MAX), None);
    }
}
