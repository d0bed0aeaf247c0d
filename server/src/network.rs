//! The network process: parses what unauthenticated senders send, with no privilege at all.
//!
//! ```text
//! handover -> drop privileges -> sandbox -> read keys and CRLs -> prepared
//!          -> begin: take the state directory, have the table loaded, threads -> finish
//! ```
//! For `sknockd check` it ends where it has fetched its CRLs ([`attempt`]), in the same sandbox, and answers with what it
//! saw.

pub mod handover;
mod inherited;
mod inputs;
pub mod link;
pub(crate) mod sandbox;
mod serve;
mod syscalls;

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::fd::RawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use nix::unistd::Pid;
use sknock_protocol::Timestamp;
use tracing::{debug, error, warn};

use self::handover::Handover;
use self::inherited::Inherited;
use self::inputs::{FileContents, ProcessInputs};
use self::link::{NetworkReport, Orders};
use self::serve::Ready;
use crate::config::{Settings, keys};
use crate::crl::{self, Attempt, MAX_LIST, Refresh, Timeouts, mark_record};
use crate::knock::replay::{Journal, Past, state_dir};
use crate::knock::tag_loader::TagLoader;
use crate::sys::exit::{CONFIGURATION, FAILURE, UNAVAILABLE};
use crate::sys::{clock, log};

/// Lives the life of the network process, from the handover in descriptor `number` to its end.
pub fn run(number: RawFd) -> ExitCode {
    match prepare(number)
        .and_then(|ready| serve::serve(ready).map_err(|why| why.to_string().into()))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(ExitError { code, why }) => {
            error!("network process exits: {why}");
            ExitCode::from(code)
        }
    }
}

/// Why the process ends, and its exit code for the privileged process.
#[derive(Debug)]
struct ExitError {
    code: u8,
    why: String,
}

impl From<String> for ExitError {
    fn from(why: String) -> Self {
        Self { code: FAILURE, why }
    }
}

impl From<std::io::Error> for ExitError {
    fn from(error: std::io::Error) -> Self {
        error.to_string().into()
    }
}

/// Everything up to the moment when only the state directory is missing.
fn prepare(number: RawFd) -> Result<Ready, ExitError> {
    let Handover { settings, parent, boot, last_state, marks, descriptors } =
        Handover::unpack(Inherited::new([number]).take(number)?)?;
    Inherited::new(descriptors.all()).close_others()?;
    log::begin(settings.process.log);
    end_on_panic();
    sandbox::drop_privileges(Pid::from_raw(parent))?;
    let ProcessInputs { orders, worker_links, mut gate, tag_link, contents } =
        ProcessInputs::take(&descriptors, settings.knocks.intake)?;
    clear_the_way(&settings)?;
    enter_sandbox(&settings)?;

    // Nothing that came from a file or from the network was parsed before this line.
    let wrong = |error: keys::KeyProblem| ExitError { code: CONFIGURATION, why: error.to_string() };
    let verifier = Arc::new(keys::verifier(contents.keys(), &settings).map_err(wrong)?);
    let web_authorities = contents.web_authorities.as_deref();
    let (lists, timeouts) = (&settings.revocation, Timeouts::default());
    let mut refresh = Refresh::new(lists, Arc::clone(&verifier), web_authorities, timeouts)
        .map_err(|error| ExitError { code: CONFIGURATION, why: error.to_string() })?
        .above(marks.iter().filter_map(|entry| mark_record::read(entry)).collect());
    refresh.load_saved();
    match &contents.revocation {
        Some(list) => refresh.load(list, clock::now()),
        None => refresh.warn_of_age(clock::now()),
    }
    if !refresh.is_usable(clock::now()) {
        refresh.fetch_now()?;
        if !refresh.is_usable(clock::now()) {
            let why = "no valid CRL is available, so all knocks would be refused; see the lines \
                       above. Refusing to start; the firewall was not changed";
            return Err(ExitError { code: UNAVAILABLE, why: why.to_owned() });
        }
    }
    refresh.report(&mut gate, clock::now())?;
    verifier.prepare(clock::now());
    let orders = Orders(orders);
    orders.report(NetworkReport::Prepared)?;
    let boot = boot.parse().map_err(|error: crate::knock::replay::NotABootId| error.to_string())?;
    let past = Past { boot, last_state };
    let tags = verifier.key().tags().clone();
    let tag_loader = TagLoader::new(tags, settings.knocks.window, tag_link);
    Ok(Ready { settings, past, orders, worker_links, gate, tag_loader, verifier, refresh })
}

/// Renames what an earlier network process may have put in the way of our files: in the sandbox that is
/// not possible any more.
fn clear_the_way(settings: &Settings) -> Result<(), ExitError> {
    let state = &settings.process.state;
    let clear = || {
        let mode = state.metadata()?.mode() & 0o777;
        if mode & 0o700 != 0o700 {
            let new = mode | 0o700;
            warn!("stateDir had mode {mode:03o}: sknockd could not use it. Changed to {new:03o}");
            std::fs::set_permissions(state, Permissions::from_mode(new))?;
        }
        Journal::clear_the_way(state)?;
        match &settings.revocation.saved {
            Some(list) => state_dir::clear_of_any_owner(list, 4 * MAX_LIST),
            None => Ok(()),
        }
    };
    clear().map_err(|error: std::io::Error| {
        format!("cannot prepare stateDir {}: {error}", state.display()).into()
    })
}

fn enter_sandbox(settings: &Settings) -> Result<(), ExitError> {
    let mut ports = crl::ports(&settings.revocation.urls);
    if !ports.is_empty() {
        ports.insert(DNS);
    }
    if sandbox::enter(&[&settings.process.state], &ports)?.files {
        debug!("sandbox active: Landlock and seccomp");
    } else {
        warn!("the kernel has no Landlock: files are protected by their permissions only");
    }
    Ok(())
}

/// Long answers of name servers come over TCP.
const DNS: u16 = 53;

/// Confines the calling process as the network process is confined, with these folders to write to and
/// these TCP ports to connect to; says whether the kernel has Landlock. For the test that then tries to get out.
#[doc(hidden)]
pub fn confine(parent: i32, writable: &[&Path], ports: &[u16]) -> std::io::Result<bool> {
    sandbox::drop_privileges(Pid::from_raw(parent))?;
    Ok(sandbox::enter(writable, &ports.iter().copied().collect())?.files)
}

/// A thread that panics would leave its share of the clients unheard; the process ends instead, and
/// is started again.
fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        error!("bug: {panic}");
        std::process::exit(i32::from(FAILURE));
    }));
}

/// Fetches and verifies all CRLs, from the handover in descriptor `number`, and writes the answer, as JSON,
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
