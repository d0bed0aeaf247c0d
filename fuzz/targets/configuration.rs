//! `config.ini` and the environment: the file, then after each zero byte a variable `NAME=VALUE`. A password
//! is put into it, into whatever line, right or wrong.

#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sknock_server::config;

/// A password that nothing else in the input is.
const MARK: &str = "wOhlbehUetet";

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0);
    let Some(Ok(text)) = parts.next().map(std::str::from_utf8) else { return };
    let mut environment: Vec<(&OsStr, &OsStr)> = parts
        .filter_map(|part| {
            let equals = part.iter().position(|byte| *byte == b'=')?;
            Some((OsStr::from_bytes(&part[..equals]), OsStr::from_bytes(&part[equals + 1..])))
        })
        .collect();
    let file = Path::new("/etc/sknock/config.ini");
    let plain = config::parse(text, file, environment.clone());
    if let Err(problems) = &plain {
        assert!(problems.iter().next().is_some(), "refused without a reason");
        assert!(problems.iter().all(|one| !one.what.is_empty() && !one.remedy.is_empty()));
    }

    if input.windows(MARK.len()).any(|part| part == MARK.as_bytes()) {
        return;
    }
    let with_password = format!("{text}\nPFXPasswd = {MARK}\n");
    never_shows_it(&config::parse(&with_password, file, environment.clone()));
    environment.push((OsStr::new("SKNOCK_PFXPASSWD"), OsStr::new(MARK)));
    never_shows_it(&config::parse(text, file, environment.clone()));

    environment.pop();
    let at = place(text);
    let with_password = format!("{}{MARK}{}", &text[..at], &text[at..]);
    if !may_be_shown(&with_password) {
        never_shows_it(&config::parse(&with_password, file, environment));
    }
});

/// Where a password is put, in bytes: somewhere, as the text says.
fn place(text: &str) -> usize {
    let sum =
        text.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let at = sum % (text.len() + 1);
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// Only what is certainly the value of a key without secrets may be shown.
fn may_be_shown(text: &str) -> bool {
    let marked = text.lines().find(|line| line.contains(MARK)).unwrap_or_default();
    let marked = marked.strip_prefix('\u{feff}').unwrap_or(marked);
    let pair = marked.split_once(['=', ':']);
    pair.and_then(|(name, _)| config::ConfigKey::find(name.trim()))
        .is_some_and(|key| key.kind != config::ValueKind::Secret)
}

fn never_shows_it(parsed: &Result<config::Settings, config::Problems>) {
    let shown = match parsed {
        Ok(settings) => format!("{settings:?}"),
        Err(problems) => format!("{problems:?} {problems}"),
    };
    assert!(!shown.contains(MARK), "a password is shown: {shown}");
}
