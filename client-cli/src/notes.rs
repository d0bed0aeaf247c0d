//! What is worth a note although it worked: it may not work the next time.

use sknock::{Doubt, OpenPort, Protocol, Verified};

use crate::arguments::{Goal, Task};

/// A clock further off than this is mentioned: servers refuse from 7 s on, unless told otherwise.
const SKEW_WORTH_A_NOTE_MS: u64 = 2000;

/// All that there is to note. For people, `knock` says in its report itself that no answer came.
pub(crate) fn of(task: &Task, opened: &OpenPort, doubts: &[Doubt]) -> Vec<String> {
    let clock = opened.granted.and_then(|granted| clock(granted.clock_skew_ms));
    let mentioned = matches!(task.goal, Goal::Knock(_)) && !task.options.json;
    let expected = task.options.protocol == Protocol::V1;
    let silent = opened.verified == Verified::Connection && !mentioned && !expected;
    let silent = silent.then(|| without_answer(task).to_owned());
    clock.into_iter().chain(silent).chain(doubts.iter().map(ToString::to_string)).collect()
}

/// Why a port can be reached although no server has said that it opened it.
pub(crate) fn without_answer(task: &Task) -> &'static str {
    match task.options.protocol {
        Protocol::V1 => "not verified: v1 servers do not answer",
        Protocol::V2 => {
            "no answer arrived: it was lost, an earlier grant is active, or the port is not \
             protected"
        }
    }
}

fn clock(skew_ms: i64) -> Option<String> {
    let off = skew_ms.unsigned_abs();
    let side = if skew_ms > 0 { "behind" } else { "ahead of" };
    let seconds = format!("{}.{}", off / 1000, off % 1000 / 100);
    (off > SKEW_WORTH_A_NOTE_MS).then(|| {
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
        assert_eq!(clock(2000), None);
        assert_eq!(clock(-2000), None);
        assert!(clock(3210).unwrap().contains("3.2 s behind"));
        assert!(clock(-61_050).unwrap().contains("61.0 s ahead of"));
        assert!(clock(i64::MIN).is_some());
    }
}
