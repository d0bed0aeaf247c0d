//! What `sknockd check` starts to fetch revocation lists: the network process up to the moment when it
//! has its lists, behind the same walls. It answers with what it saw, and ends.

use std::fs::File;
use std::io::Write;
use std::os::fd::RawFd;
use std::process::ExitCode;
use std::sync::Arc;

use nix::unistd::Pid;
use sknock_protocol::Moment;

use super::belongings::Contents;
use super::inherited::Inherited;
use super::{confine, wall_in};
use crate::exit::FAILURE;
use crate::handover::Handover;
use crate::refresh::{Attempt, Patience, Refresh};
use crate::{keys, marks};

/// Fetches and judges all lists, from the handover in descriptor `number`, and writes the answer, as JSON,
/// to its `orders`: `{"Ok":[...]}` or `{"Err":"why nothing could be fetched"}`.
pub fn attempt(number: RawFd, now: Moment) -> ExitCode {
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
    now: Moment,
) -> Result<Vec<Attempt>, String> {
    let Handover { settings, parent, marks, descriptors, .. } = handover;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    confine::shed(Pid::from_raw(*parent)).map_err(|error| text(&error))?;
    let contents = Contents::read(descriptors, inherited).map_err(|error| text(&error))?;
    wall_in(settings).map_err(|end| end.why)?;

    // Nothing that came from a file or from the network was parsed before this line.
    let verifier = keys::verifier(contents.keys(), settings).map_err(|error| text(&error))?;
    let web_authorities = contents.web_authorities.as_deref();
    let patience = Patience::default();
    let mut refresh =
        Refresh::new(&settings.revocation, Arc::new(verifier), web_authorities, patience)
            .map_err(|error| text(&error))?
            .above(marks.iter().filter_map(|entry| marks::read(entry)).collect());
    refresh.load_saved();
    if let Some(list) = &contents.revocation {
        refresh.load(list, now);
    }
    refresh.attempt(now).map_err(|error| text(&error))
}
