//! The privileged process: owns the firewall, starts the network process, and trusts nothing that it says.
//!
//! ```text
//! settings -> instance lock -> firewall -> drop capabilities -> network process -> supervise
//! ```
//! It is single-threaded. What it reads from the network process are records of fixed size, which
//! the gate checks. It parses no certificate and no packet.

mod child_log;
pub(crate) mod files;
pub(crate) mod knock_ports;
mod knock_sockets;
mod last_state;
mod log_budget;
pub(crate) mod marks;
mod network_process;
mod previous_run;
mod privilege;
mod saved_config;
pub(crate) mod spawn;
mod spawner;
mod supervise;
pub(crate) mod table;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sknock_gate::{BootInstant, Firewall, Gate, GrantFile, NamespaceLock, SavedGrants};
use tracing::{error, warn};

use self::files::{Files, Unusable};
use self::last_state::LastState;
use self::previous_run::PreviousRun;
use self::saved_config::SavedConfigs;
use self::spawner::{Spawner, StartFailed};
use self::supervise::{Supervisor, TrialWatch};
use crate::config::Settings;
use crate::config::finding::Finding;
use crate::control::requester::Requester;
use crate::control::socket::ControlSocket;
use crate::sys::capabilities::require_net_admin;
use crate::sys::exit::{CONFIGURATION, UNAVAILABLE, UNCONFIRMED, print_error};
use crate::sys::log;

pub(crate) use self::files::acting_as;
pub(crate) use self::privilege::Account;

/// Runs the daemon until it is told to stop. With a time, what it puts up is on trial for so long.
pub fn run(config: &Path, trial: Option<Duration>) -> ExitCode {
    if let Err(error) = require_net_admin() {
        print_error(format_args!("sknockd: {error}"));
        return ExitCode::from(UNAVAILABLE);
    }
    let settings = match Settings::load(config, std::env::vars_os()) {
        Ok(settings) => settings,
        Err(problems) => {
            print_error(&problems);
            problems.draft().into_iter().for_each(tell_of_files);
            let config = config.display();
            print_error(format_args!("`sknockd check --config {config}` also tests all files"));
            return ExitCode::from(CONFIGURATION);
        }
    };
    log::begin(settings.process.log);
    settings.notes.iter().for_each(|note| warn!("{note}"));
    tell_of_knock_ports(&settings);
    // Held as long as we live: two gates would undo each other's work.
    let claim = match NamespaceLock::acquire(Path::new(NamespaceLock::DIRECTORY)) {
        Ok(claim) => claim,
        Err(error) => return unavailable(&error),
    };
    let kept = match PreviousState::open(&claim) {
        Ok(kept) => kept,
        Err(error) => return unavailable(&error),
    };
    // As long as root can write there: the folder may be the unit's user's.
    let control = control_socket(&claim);
    let supervisor = match assemble(config, settings, trial, kept) {
        Ok(supervisor) => supervisor.asked_by(control),
        Err(Stopped::Unconfirmed) => return ExitCode::from(UNCONFIRMED),
        Err(Stopped::NotStarted(StartFailed::Unfit(_))) => return ExitCode::from(CONFIGURATION),
        Err(Stopped::NotStarted(StartFailed::Unavailable(_))) => {
            return ExitCode::from(UNAVAILABLE);
        }
        Err(Stopped::Unavailable(error)) => return unavailable(&error),
    };
    let code = supervisor.run();
    log::catch_up();
    code
}

/// Knock ports that have another use: no reason not to start.
fn tell_of_knock_ports(settings: &Settings) {
    let mut findings = Vec::new();
    knock_ports::examine(settings, &knock_ports::listening(), &mut findings);
    for Finding { what, remedy, .. } in findings {
        warn!("{what}. {remedy}");
    }
}

/// What a trial could go back to, and what was granted, does not count any more: the administrator wants
/// no protection.
pub fn forget(claim: &NamespaceLock) -> io::Result<()> {
    let PreviousState { saved_configs, grants, .. } = PreviousState::open(claim)?;
    saved_configs.forget();
    grants.map_or(Ok(()), |(mut file, _)| file.clear())
}

/// What an earlier run has left beside the claim.
struct PreviousState {
    saved_configs: SavedConfigs,
    /// Nothing, if the file cannot be used.
    grants: Option<(GrantFile, Option<SavedGrants>)>,
    /// Where it is kept which revocation lists were in force, if that cannot be beside the state directory.
    marks: PathBuf,
    last_state: LastState,
}

/// Where administrators ask, if that can be.
fn control_socket(claim: &NamespaceLock) -> Option<ControlSocket> {
    let told = |error: &_| {
        warn!(
            "cannot create the control socket: {error}. `sknockd confirm`, `reload` and `close` fail"
        );
    };
    ControlSocket::open(claim).inspect_err(told).ok()
}

impl PreviousState {
    fn open(claim: &NamespaceLock) -> io::Result<Self> {
        let origin = claim.origin()?;
        let saved_configs = SavedConfigs::open(claim, origin)?;
        let last_state = LastState::open(&claim.sibling("state"), origin)?;
        let grants = GrantFile::open(claim, origin).inspect_err(|error| {
            warn!(
                "cannot save grants: {error}. After a restart sknockd does not know the active \
                 grants, and a revocation cannot end their connections"
            );
        });
        Ok(Self { saved_configs, grants: grants.ok(), marks: claim.sibling("marks"), last_state })
    }
}

/// Reports unusable files together with problems of the configuration, so that one more start suffices.
fn tell_of_files(draft: &Settings) {
    let unusable = Files::open(draft, None).err().into_iter().flatten();
    for unusable in unusable.filter(Unusable::is_named) {
        print_error(draft.located(unusable.to_string()));
    }
}

/// Why nothing runs.
enum Stopped {
    /// No network process; all has been told.
    NotStarted(StartFailed),
    /// An earlier run was on trial, and the trial was not confirmed.
    Unconfirmed,
    /// The kernel.
    Unavailable(Box<dyn std::error::Error>),
}

impl<E: std::error::Error + 'static> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Gathers what the daemon needs, and starts its network process. The firewall stays as it was.
fn assemble(
    config: &Path,
    settings: Settings,
    trial: Option<Duration>,
    kept: PreviousState,
) -> Result<Supervisor, Stopped> {
    let PreviousState { saved_configs, mut grants, marks, last_state } = kept;
    let recalled = grants.as_ref().and_then(|(_, recalled)| recalled.as_ref());
    let unconfirmed = recalled.and_then(SavedGrants::trial);
    let signals = Signals::hold()?;
    let mut spawner = Spawner::new(marks, last_state)?;
    let mut firewall = Firewall::open()?;
    let before = (&saved_configs, unconfirmed);
    let start = PreviousRun::find(&mut firewall, settings, trial, before, BootInstant::now())?;
    let Some(PreviousRun { settings, asked, earlier }) = start else {
        // The next start is another attempt.
        grants.as_mut().map_or(Ok(()), |(file, _)| file.clear())?;
        return Err(Stopped::Unconfirmed);
    };
    let mut gate = Gate::new(table::table_spec(&settings), table::ceiling(&settings), firewall);
    if let Some(earlier) = &earlier {
        gate.set_previous(table::table_spec(earlier), table::ceiling(earlier));
    }
    if let Some((file, recalled)) = grants {
        gate.save_to(file, recalled);
    }
    let watch = gate.watch()?;
    // Before the capabilities are dropped: without CAP_DAC_OVERRIDE root could not make the file in a folder
    // of the unit's user.
    spawner.settle_marks(&settings);
    spawner.learn_marks(&settings);
    privilege::drop_capabilities()?;
    let next = spawner.start(&settings).map_err(|failed| {
        spawner.marks.undo();
        Stopped::NotStarted(failed)
    })?;
    let config = std::path::absolute(config)?;
    let trial = TrialWatch::new(asked, earlier, saved_configs);
    Ok(Supervisor::new((config, settings), (gate, watch), (spawner, next), (signals, trial)))
}

fn unavailable(error: &dyn std::fmt::Display) -> ExitCode {
    error!("{error}");
    ExitCode::from(UNAVAILABLE)
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// SIGTERM, SIGINT: stop in order.
    Stop,
    /// SIGHUP: reload, without a trial.
    Reload(Requester),
    /// SIGUSR1: what is on trial stays.
    Confirm(Requester),
    /// SIGCHLD: a network process may have ended.
    Look,
}

/// Signals that wait to be read.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Holds the signals back from their default effect, from now on.
    pub(crate) fn hold() -> nix::Result<Self> {
        let set: SigSet =
            [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGCHLD]
                .into_iter()
                .collect();
        // The network process inherits the mask (std does not reset it): Ctrl-C in a terminal reaches this
        // process only, which then stops the other in order.
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// The next signal, if there is one.
    pub(crate) fn next(&mut self) -> Option<Wanted> {
        // Standard signals do not queue: of several the sender of the first is known (signal(7)).
        let signal = self.0.read_signal().ok().flatten()?;
        let by = Requester { uid: signal.ssi_uid, pid: signal.ssi_pid.cast_signed() };
        match Signal::try_from(signal.ssi_signo.cast_signed()) {
            Ok(Signal::SIGTERM | Signal::SIGINT) => Some(Wanted::Stop),
            Ok(Signal::SIGHUP) => Some(Wanted::Reload(by)),
            Ok(Signal::SIGUSR1) => Some(Wanted::Confirm(by)),
            _ => Some(Wanted::Look),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
