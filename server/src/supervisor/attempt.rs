//! Starts the process that fetches revocation lists for `sknockd check`, and hears its answer.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use super::files::{Files, Unusable};
use super::network_process::{itself, passing_on};
use super::privilege::Account;
use crate::config::Settings;
use crate::crl::Attempt;
use crate::crl::mark_record;
use crate::crl::mark_record::CrlMarks;
use crate::knock::replay::state_in_force::LastInForce;
use crate::network::handover::{Handover, number};

/// An answer has a few hundred bytes for each address.
const MAX_LENGTH: u64 = 1 << 20;

/// What a start would make of each `crlUrl`, as whoever it would start the network process as. Takes as
/// long as the slowest web server may. The error says why nothing was fetched.
pub(crate) fn fetch(settings: &Settings, marks: &CrlMarks) -> Result<Vec<Attempt>, String> {
    let account = Account::find(&settings.process.user).map_err(|error| error.to_string())?;
    let unusable = |all: Vec<Unusable>| {
        all.first().map_or_else(|| "a file is missing".to_owned(), ToString::to_string)
    };
    let files = Files::open(settings, Some(account)).map_err(unusable)?;
    let answer = ask(settings, marks, (&files, account)).map_err(|error| error.to_string())?;
    match serde_json::from_slice(&answer) {
        Ok(attempts) => attempts,
        Err(_) => Err("the fetching process exited without an answer".to_owned()),
    }
}

fn ask(
    settings: &Settings,
    marks: &CrlMarks,
    (files, account): (&Files, Account),
) -> io::Result<Vec<u8>> {
    let (heard, answer) = io::pipe()?;
    let handover = Handover {
        settings: settings.clone(),
        parent: std::process::id().cast_signed(),
        boot: String::new(),
        last_state: LastInForce::default(),
        marks: marks
            .iter()
            .map(|(issuer, mark)| mark_record::entry(issuer, mark).to_vec())
            .collect(),
        descriptors: files.descriptors(number(&answer), Vec::new(), Vec::new()),
    };
    let packed = handover.pack()?;
    let passed: Vec<BorrowedFd<'_>> =
        [answer.as_fd(), packed.as_fd()].into_iter().chain(files.all()).collect();
    let mut child = passing_on(&passed, || itself("fetch", &packed, account).spawn())?;
    drop(answer);
    let mut bytes = Vec::new();
    let read = heard.take(MAX_LENGTH).read_to_end(&mut bytes);
    let ended = child.wait();
    read?;
    ended?;
    Ok(bytes)
}
