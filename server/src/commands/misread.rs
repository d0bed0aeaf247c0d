//! Command lines that are none, where clap's own words would not say what to write instead.

use std::net::IpAddr;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What to write instead, or clap's own words.
pub(crate) fn told(error: clap::Error) -> clap::Error {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let instead = match error.kind() {
        ErrorKind::InvalidSubcommand => text(ContextKind::InvalidSubcommand).and_then(command),
        ErrorKind::UnknownArgument => {
            text(ContextKind::InvalidArg).and_then(|wrong| argument(wrong, &words))
        }
        _ => None,
    };
    instead.map_or(error, |told| clap::Error::raw(ErrorKind::UnknownArgument, told + "\n"))
}

/// What others call their commands.
fn command(word: &str) -> Option<String> {
    Some(match word {
        "start" | "stop" | "restart" => {
            format!(
                "{word:?} is not a command. Write: systemctl {word} sknockd, or without \
                     systemd: sknockd run"
            )
        }
        "status" => "\"status\" is not a command. `systemctl status sknockd` shows whether it \
                     runs, `sknockd grants` lists the active grants"
            .into(),
        "test" | "verify" | "configtest" | "-t" => {
            format!("{word:?} is not a command. Write: sknockd check")
        }
        _ => return None,
    })
}

fn argument(wrong: &str, words: &[String]) -> Option<String> {
    if ["-c", "--config"].contains(&wrong) {
        return Some("write --config FILE after the command: sknockd check --config FILE".into());
    }
    if wrong.starts_with('-') {
        return None;
    }
    match words.get(1)?.as_str() {
        command @ ("run" | "check") => {
            Some(format!("a file needs its option: sknockd {command} --config {wrong}"))
        }
        "close" => {
            let option = if wrong.parse::<IpAddr>().is_ok() { "address" } else { "name" };
            Some(format!("close needs a criterion: sknockd close --{option} {wrong}"))
        }
        _ => None,
    }
}
