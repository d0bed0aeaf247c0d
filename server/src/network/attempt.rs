//! What `sknockd check` starts to fetch revocation lists: the network process up to the moment when it
//! has its lists, behind the same walls. It answers with what it saw, and ends.

use std::fs::File;
use std::io::Write;
use std::os::fd::RawFd;
use std::process::ExitCode;
use std::sync::Arc;

use nix::unistd::Pid;
use sknock_protocol::Timestamp;

use super::handover::Handover;
use super::inherited::Inherited;
use super::inputs::FileContents;
use super::{enter_sandbox, sandbox};
use crate::config::keys;
use crate::crl::mark_record;
use crate::crl::{Attempt, Refresh, Timeouts};
use crate::sys::exit::FAILURE;

/// Fetches and judges all lists, from the handover in descriptor `number`, and writes the answer, as JSON,
/// to its `orders`: `{"Ok":[...]}` or `{"Err":"why nothing could be fetched"}`.
pub fn attempt(number: RawFd, now: Timestamp) -> ExitCode {
    let answered = || -> std::io::Result<()> {
        let handover = Handover::unpack(Inherited::new([number]).take(number)?)?;
        let mut inherited = Inherited::new(handover.descriptors.all());
        let mut answer = File::from(inherited.take(handover.descriptors.orders)?);
        let attempts = fetch(&handover, &mut inherited, now);
        answer.write_all(&serde_json::to_vec(&attempts)?)
    };
    answered().map_or(ExitCode::from(FAILURE), |()| ExitCode::SUCCESS)
}

fn fetch(
    handover: &Handover,
    inherited: &mut Inherited,
    now: Timestamp,
) -> Result<Vec<Attempt>, String> {
    let Handover { settings, parent, marks, descriptors, .. } = handover;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    sandbox::drop_privileges(Pid::from_raw(*parent)).map_err(|error| text(&error))?;
    let contents = FileContents::read(descriptors, inherited).map_err(|error| text(&error))?;
    enter_sandbox(settings).map_err(|end| end.why)?;

    // Nothing that came from a file or from the network was parsed before this line.
    let verifier = keys::verifier(contents.keys(), settings).map_err(|error| text(&error))?;
    let web_authorities = contents.web_authorities.as_deref();
    let timeouts = Timeouts::default();
    let mut refresh =
        Refresh::new(&settings.revocation, Arc::new(verifier), web_authorities, timeouts)
            .map_err(|error| text(&error))?
            .above(marks.iter().filter_map(|entry| mark_record::read(entry)).collect());
    refresh.load_saved();
    if let Some(list) = &contents.revocation {
        refresh.load(list, now);
    }
    refresh.attempt(now).map_err(|error| text(&error))
}
