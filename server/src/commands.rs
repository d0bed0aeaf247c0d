//! What the command line of `sknockd` runs: one function for each command.

pub(crate) mod arguments;
pub mod check;
pub mod explain;
pub mod grants;

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use nix::sys::signal::{SigSet, Signal};
use sknock_gate::{Firewall, FirewallError, NamespaceLock};
use sknock_protocol::plain_text::escaped;

use self::arguments::{Arguments, ServerCommand, corrected};
use self::check::Host;
use self::explain::Unexplained;
use crate::config::{Problems, Settings};
use crate::control::client;
use crate::control::messages::{ConfigInForce, ControlResponse};
use crate::sys::capabilities::require_net_admin;
use crate::sys::clock;
use crate::sys::exit::{CONFIGURATION, FAILURE, UNAVAILABLE, print_error, refuse};
use crate::{network, supervisor};

/// Runs the command that the command line names, to its exit code.
pub fn main() -> ExitCode {
    // First: a thread inherits the signal mask of the one that starts it (pthread_sigmask(3)).
    block_file_size_signal();
    let arguments = Arguments::try_parse();
    match arguments.unwrap_or_else(|error| refuse(&corrected(error))).command {
        ServerCommand::Run { config, trial } => supervisor::run(&config.path, trial.span),
        ServerCommand::Confirm => match client::confirm() {
            Ok(()) => done("confirmed; the new rules stay"),
            Err(error) => failed(&error, error.exit_code()),
        },
        ServerCommand::Reload { trial } => reload(trial.span),
        ServerCommand::Network { handover } => network::run(handover),
        ServerCommand::Fetch { handover } => network::attempt(handover, clock::now()),
        ServerCommand::Check { config, json } => check(&config.path, json),
        ServerCommand::Explain { config, at, from, files } => {
            let settings = match load(&config.path) {
                Ok(settings) => settings,
                Err(problems) => return failed(&problems, CONFIGURATION),
            };
            let at = at.unwrap_or_else(clock::now);
            match explain::explain(&settings, at, from, &files, io::stdout().lock()) {
                // A closed pipe (`| head`): the reader wants no more of it.
                Err(Unexplained::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    ExitCode::SUCCESS
                }
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&error, error.exit_code()),
            }
        }
        ServerCommand::Grants { json } => tell_grants(json),
        ServerCommand::Close { which } => match grants::close(&which.into()) {
            Ok(closed) if closed.is_done() => done(&closed.to_string()),
            Ok(closed) => failed(&closed, FAILURE),
            Err(error) => failed(&error, error.exit_code()),
        },
        ServerCommand::Open => open(),
    }
}

/// With `RLIMIT_FSIZE` the kernel sends SIGXFSZ, which would end the process. Blocked, the write fails instead, as
/// on a full disk.
fn block_file_size_signal() {
    let signal = SigSet::from(Signal::SIGXFSZ);
    signal.thread_block().ok();
}

fn tell_grants(json: bool) -> ExitCode {
    let grants = match grants::list() {
        Ok(grants) => grants,
        Err(error) => return failed(&error, error.exit_code()),
    };
    match json.then(|| grants.json()) {
        None => listed(&grants),
        Some(Ok(json)) => listed(&json),
        Some(Err(error)) => failed(&error, FAILURE),
    }
}

fn reload(trial: Option<Duration>) -> ExitCode {
    match client::reload(trial) {
        Ok(ControlResponse::OnTrial {
            seconds_left,
            begun_by,
            joined,
            in_force: ConfigInForce { file, protection, .. },
        }) => {
            let whose = begun_by.map_or("the start of sknockd".to_owned(), |by| by.to_string());
            let joined = if joined { joined_trial(&whose) } else { String::new() };
            let until = clock::now().after(Duration::from_secs(seconds_left)).as_secs();
            let [hour, minute, second] = [until / 3600 % 24, until / 60 % 60, until % 60];
            done(&format!(
                "on trial for {seconds_left} s, until {hour:02}:{minute:02}:{second:02} UTC: {file} \
                 ({protection}). {joined}Test a new connection, then run `sknockd confirm`"
            ))
        }
        Ok(ControlResponse::Reloaded(ConfigInForce { process, file, protection })) => {
            done(&format!("process {process} has reloaded {file}: {protection}"))
        }
        Ok(other) => failed(&format_args!("{other:?}"), FAILURE),
        Err(error) => failed(&error, error.exit_code()),
    }
}

/// For who reloads without a trial, and would not expect one.
fn joined_trial(whose: &str) -> String {
    format!(
        "These rules are part of a trial that {whose} began: without a confirmation they end with it. "
    )
}

/// It is done, also if nobody reads so.
fn done(text: &str) -> ExitCode {
    print(&text);
    ExitCode::SUCCESS
}

/// Output that the caller asked for: if it cannot be written, the command has failed.
fn listed(text: &dyn std::fmt::Display) -> ExitCode {
    if print(text) { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) }
}

/// Whether it was written. A closed pipe (`| head`) is no failure: the reader wants no more of it.
fn print(text: &dyn std::fmt::Display) -> bool {
    match writeln!(io::stdout(), "{}", escaped(&text.to_string(), false)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            print_error(format_args!("sknockd: cannot write to standard output: {error}"));
            false
        }
        _ => true,
    }
}

fn open() -> ExitCode {
    if let Err(error) = require_net_admin() {
        return failed(&error, UNAVAILABLE);
    }
    // A running server would put its table back at once.
    let claim = match NamespaceLock::acquire(Path::new(NamespaceLock::DIRECTORY)) {
        Ok(claim) => claim,
        Err(error) => return failed(&error, UNAVAILABLE),
    };
    let was_loaded = match remove_table() {
        Ok(was_loaded) => was_loaded,
        Err(error) => return failed(&error, FAILURE),
    };
    match supervisor::forget(&claim) {
        Err(error) => failed(&error, FAILURE),
        Ok(()) if was_loaded => done(
            "removed table inet sknock and all grants: sknockd blocks no port now. To load the rules again, \
             start sknockd",
        ),
        Ok(()) => done("no rules were loaded: sknockd blocks no port"),
    }
}

/// Whether there was one.
fn remove_table() -> Result<bool, FirewallError> {
    let mut firewall = Firewall::open()?;
    let was_loaded = firewall.exists()?;
    firewall.remove().map(|()| was_loaded)
}

/// What the server would be configured by, as far as its unit tells.
fn load(config: &Path) -> Result<Settings, Problems> {
    check::with_unit_credential(Settings::load(config, env::vars_os()), config)
}

fn check(config: &Path, json: bool) -> ExitCode {
    let loaded = load(config);
    let connection = env::var("SSH_CONNECTION").ok();
    let host = Host::look(&loaded, config).with_ssh_connection(connection.as_deref());
    let report = check::check(&loaded, &host, clock::now());
    let printed = match json.then(|| report.json()) {
        Some(Ok(json)) => print(&json),
        Some(Err(error)) => return failed(&error, FAILURE),
        None => print(&report),
    };
    ExitCode::from(if printed { report.exit_code() } else { FAILURE })
}

fn failed(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    print_error(format_args!("sknockd: {error}"));
    ExitCode::from(code)
}
