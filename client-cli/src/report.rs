//! What the user reads: text for people, one line of JSON for scripts.

use std::io::{self, Write};
use std::net::SocketAddr;

use serde::Serialize;
use sknock::{Granted, Opened, Verified};

use crate::arguments::{Goal, Task};
use crate::failure::Failure;

/// A clock further off than this is mentioned: servers refuse from 7 s on, unless told otherwise.
const SKEW_WORTH_A_NOTE_MS: u64 = 2000;

/// Reports an open door on stdout.
pub(crate) fn opened(task: &Task, opened: &Opened) -> Result<(), Failure> {
    let line = if task.options.json { json(task, opened) } else { text(task, opened) };
    writeln!(io::stdout(), "{line}").map_err(Failure::Report)?;
    if !task.options.json {
        take_note(opened);
    }
    Ok(())
}

/// Reports a connection on stderr, for stdout is the connection: JSON if wanted, else only what is
/// worth a note.
pub(crate) fn connected(task: &Task, opened: &Opened) {
    if task.options.json {
        writeln!(io::stderr(), "{}", json(task, opened)).ok(); // the connection counts
    } else {
        take_note(opened);
    }
}

/// Reports a failure where its success would have been reported, or as text on stderr.
pub(crate) fn failed(task: &Task, failure: &Failure) {
    let written = if task.options.json {
        let message = failure.to_string();
        let line = Failed {
            result: "failed",
            host: &task.host,
            error: failure.name(),
            exit: failure.code(),
            message,
        };
        match task.goal {
            Goal::Knock(_) => writeln!(io::stdout(), "{}", to_json(&line)),
            Goal::Connect(_) => writeln!(io::stderr(), "{}", to_json(&line)),
        }
    } else {
        let hint = failure.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        writeln!(io::stderr(), "sknock: {failure}{hint}")
    };
    written.ok(); // the exit code says it too
}

/// Mentions a clock that will soon lock its owner out.
fn take_note(opened: &Opened) {
    if let Some(about) = opened.granted.and_then(|granted| clock_note(granted.clock_skew_ms)) {
        note(&about);
    }
}

/// A remark that does not change the outcome.
pub(crate) fn note(about: &str) {
    writeln!(io::stderr(), "sknock: note: {about}").ok(); // nobody reads it
}

fn text(task: &Task, opened: &Opened) -> String {
    let address = opened.destination.to_string();
    let host = if task.host == address { address } else { format!("{} ({address})", task.host) };
    let services: Vec<String> = opened.services.iter().map(ToString::to_string).collect();
    let (services, is) = match &services[..] {
        [] => ("everything that your certificate allows".into(), "is"),
        [one] => (one.clone(), "is"),
        many => (many.join(", "), "are"),
    };
    match (&opened.granted, opened.verified) {
        (Some(Granted { seconds, took, clipped, .. }), _) => {
            let less = if *clipped { ", less than asked for" } else { "" };
            let took = took.as_millis();
            format!("{services} on {host} {is} open for {seconds} s{less} (answer in {took} ms)")
        }
        (None, Verified::No) => format!("{services} on {host}: knocked, not verified"),
        (None, _) => {
            format!("{services} on {host} {is} open (a connection succeeded; no answer came)")
        }
    }
}

fn clock_note(skew_ms: i64) -> Option<String> {
    let off = skew_ms.unsigned_abs();
    let side = if skew_ms > 0 { "behind" } else { "ahead of" };
    let seconds = format!("{}.{}", off / 1000, off % 1000 / 100);
    (off > SKEW_WORTH_A_NOTE_MS).then(|| {
        format!(
            "this clock is {seconds} s {side} the server's; servers refuse knocks that are some \
             seconds off: synchronise it"
        )
    })
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
}

#[derive(Serialize)]
struct Failed<'a> {
    result: &'static str,
    host: &'a str,
    error: &'static str,
    exit: u8,
    message: String,
}

fn json(task: &Task, opened: &Opened) -> String {
    let granted = opened.granted.as_ref();
    to_json(&Open {
        result: if opened.verified == Verified::No { "sent" } else { "open" },
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
    })
}

fn to_json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("strings, numbers and booleans have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_mentioned() {
        assert_eq!(clock_note(2000), None);
        assert_eq!(clock_note(-2000), None);
        assert!(clock_note(3210).unwrap().contains("3.2 s behind"));
        assert!(clock_note(-61_050).unwrap().contains("61.0 s ahead of"));
        assert!(clock_note(i64::MIN).is_some());
    }
}
