//! A password that stands where it should not is in no message: a slip in its line, a line of its own,
//! brackets around it, in the wrong key, in a variable.

use std::ffi::OsStr;
use std::path::Path;

use proptest::prelude::*;
use sknock_server::config::{ConfigKey, Problems, Settings, ValueKind, parse};

/// Looks like nothing else in any message.
const MARK: &str = "wOhlbehUetet";

/// What people do to the line of a password.
const SLIPS: [&str; 23] = [
    "PFXPasswd wOhlbehUetet=x",
    "PFXPasswd wOhlbehUetet",
    "PFXPaswd = wOhlbehUetet",
    "PFX Passwd = wOhlbehUetet",
    "Passwd : wOhlbehUetet",
    "wOhlbehUetet:x",
    "wOhlbehUetet = x",
    "=wOhlbehUetet",
    ":wOhlbehUetet",
    "wOhlbehUetet",
    "[wOhlbehUetet]",
    "[wOhlbehUetet",
    "[PFXPasswd = wOhlbehUetet]",
    "[DEFAULT] PFXPasswd = wOhlbehUetet",
    "  wOhlbehUetet",
    "\tPFXPasswd = wOhlbehUetet",
    "PFXPasswd = \0wOhlbehUetet",
    "PFXPasswd\r= wOhlbehUetet",
    "\u{feff}\u{feff}PFXPasswd = wOhlbehUetet",
    "PFXPasswdwOhlbehUetet",
    "crlUrl = https://me:wOhlbehUetet@example.org/a.crl",
    "crlUrl = me:wOhlbehUetet@example.org/a.crl",
    "crlUrl = https://me:wOhl behUetet@example.org/a.crl",
];

fn shown(parsed: &Result<Settings, Problems>) -> String {
    match parsed {
        Ok(settings) => {
            format!(
                "{settings:?} {:?} {}",
                settings.notes,
                serde_json::to_string(settings).unwrap()
            )
        }
        Err(problems) => {
            format!("{problems:?} {problems} {}", serde_json::to_string(problems).unwrap())
        }
    }
}

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    let pairs = environment.iter().map(|(name, value)| (OsStr::new(*name), OsStr::new(*value)));
    parse(text, Path::new("/etc/sknock/config.ini"), pairs)
}

/// Each is refused, and in any part of it no message has the password, nor half of it.
#[test]
fn no_slip_shows_a_password() {
    for slip in SLIPS {
        for text in [slip.to_owned(), format!("[DEFAULT]\nworkers = 2\n{slip}\n")] {
            let parsed = read(&text, &[]);
            assert!(parsed.is_err(), "{slip:?} is taken");
            let shown = shown(&parsed);
            assert!(!shown.contains("wOhl") && !shown.contains("behUetet"), "{slip:?}: {shown}");
        }
    }
}

#[test]
fn a_slip_is_still_found_by_its_line_and_the_key_that_was_meant() {
    for (line, remedy) in [
        ("PFXPasswd wOhlbehUetet=x", "Write PFXPasswd = VALUE?"),
        ("PFXPaswd = wOhlbehUetet", "Did you mean PFXPasswd?"),
    ] {
        let problems = read(&format!("[DEFAULT]\n{line}"), &[]).unwrap_err().to_string();
        assert_eq!(problems, format!("/etc/sknock/config.ini:2: unknown key. {remedy}"));
    }
}

#[test]
fn no_variable_shows_a_password() {
    let secret = format!("{MARK}\u{7}");
    for (name, value) in [
        ("SKNOCK_PFXPASSWD", MARK),
        ("SKNOCK_PFXPASSWD", &secret),
        ("SKNOCK_PFXPASWD", MARK),
        ("SKNOCK_PFX_PASSWORD", MARK),
        ("SKNOCK_CRLURL", "me:wOhlbehUetet@example.org"),
        ("SKNOCK_wOhlbehUetet", "x"),
    ] {
        for text in ["", "knockPort = seven", "PFXPasswdFile = pw"] {
            let shown = shown(&read(text, &[(name, value), ("SKNOCK_WORKERS", "many")]));
            assert!(!shown.contains(MARK), "{name}={value:?}: {shown}");
        }
    }
}

/// Only what is certainly the value of a key without secrets may be in a message.
fn may_be_shown(line: &str) -> bool {
    let pair = line.trim().trim_start_matches('\u{feff}').split_once(['=', ':']);
    pair.and_then(|(name, _)| ConfigKey::find(name.trim()))
        .is_some_and(|key| !matches!(key.kind, ValueKind::Secret))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_line_shows_a_password(
        before in "[ \\t\u{feff}]?(\\[|PFXPasswd|pfxpaswd|wor|user)?[ =:\\[\\]#;\\x00-\\x1f]{0,3}",
        after in "[ =:@/\\[\\]\\x00-\\x1f]{0,3}(x|PFXPasswd|\\])?",
        place in 0_usize..3,
    ) {
        let line = format!("{before}{MARK}{after}");
        let mut lines = vec!["[DEFAULT]", "workers = 2"];
        lines.insert(place, &line);
        let text = lines.join("\n");
        // A line end within it makes two lines of it.
        let marked = text.lines().find(|line| line.contains(MARK)).unwrap_or_default();
        if !may_be_shown(marked) {
            let shown = shown(&read(&text, &[]));
            prop_assert!(!shown.contains(MARK), "{line:?}: {shown}");
        }
    }
}
