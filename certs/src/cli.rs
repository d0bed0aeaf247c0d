//! From arguments to exit code. The library does the work, and `report` formats the result.

mod args;
mod password;
mod report;

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde_json::json;
use sknock_certs::{Authority, AuthorityError, CertificateName};
use sknock_protocol::plain_text::{escaped, one_line};
use sknock_protocol::{Service, Timestamp};

pub(crate) use args::Args;
use args::{AuthorityCommand, PasswordArgument};
use password::PasswordError;
use report::CommandReport;

/// Reasons why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandFailure {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// Default validity of certificates, in days.
const SERVER_DAYS: u32 = 3650;
const CLIENT_DAYS: u32 = 365;

/// Explains how to write a second service after `--allow`; other errors keep clap's text.
pub(crate) fn misread(error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if error.kind() != ErrorKind::UnknownArgument || Service::spelt(wrong).is_err() {
        return error;
    }
    let message = format!("each service needs its own option. Write --allow {wrong}\n");
    clap::Error::raw(ErrorKind::UnknownArgument, message)
}

/// Runs the command and prints its result: 0 for success, 1 for failure, 2 for a usage error.
pub(crate) fn run(args: &Args, now: Timestamp) -> ExitCode {
    let Some(dir) = &args.dir else {
        wrong_usage(
            ErrorKind::MissingRequiredArgument,
            "the directory of the CA is missing: --dir DIR",
        )
    };
    let has_password =
        matches!(args.command, AuthorityCommand::Server { .. } | AuthorityCommand::Client { .. });
    if args.password_file.is_some() && !has_password {
        wrong_usage(
            ErrorKind::ArgumentConflict,
            "--password-file is only valid for server and client",
        )
    }
    let outcome = execute(&args.command, dir, args.password_file.as_deref(), now);
    let (text, json, code) = match outcome {
        Ok(CommandReport { text, json }) => (text, json, ExitCode::SUCCESS),
        Err(failure) => {
            complain(&failure.to_string());
            (String::new(), json!({ "error": failure.to_string() }), ExitCode::FAILURE)
        }
    };
    let output = if args.json { format!("{json:#}\n") } else { text };
    let output = escaped(&output, args.json);
    let mut stdout = io::stdout();
    match stdout.write_all(output.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => code,
        // A reader that closes the pipe (`| head`) has read enough: no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        // `list` only prints, so a failed write is its failure.
        Err(error) if matches!(args.command, AuthorityCommand::List) => {
            complain(&format!("cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            let done = if code == ExitCode::SUCCESS { "done, but " } else { "" };
            complain(&format!("{done}standard output cannot be written: {error}"));
            code
        }
    }
}

fn wrong_usage(kind: ErrorKind, why: &str) -> ! {
    refuse(&Args::command().error(kind, why))
}

/// Prints clap's message, and exits with clap's exit code.
pub(crate) fn refuse(answer: &clap::Error) -> ! {
    let text = answer.render().to_string();
    // A write error is ignored: the exit code reports the result. clap's colours remain if nothing has to be
    // escaped.
    match escaped(&text, false) {
        Cow::Borrowed(_) => answer.print().ok(),
        Cow::Owned(text) => write!(io::stderr(), "{text}").ok(),
    };
    std::process::exit(answer.exit_code())
}

fn complain(what: &str) {
    // a closed standard error must not change the exit code
    let _ = writeln!(io::stderr(), "sknock-ca: {}", one_line(what));
}

fn execute(
    command: &AuthorityCommand,
    dir: &Path,
    password_file: Option<&Path>,
    now: Timestamp,
) -> Result<CommandReport, CommandFailure> {
    // opened before the prompt, so that errors appear before the user types a password
    let open = || Authority::open(dir);
    let obtain = |name: &CertificateName, password: &PasswordArgument| {
        let file = password.file.as_deref().or(password_file);
        password::obtain(file, &format!("{name}.pfx"))
    };
    let days = |authority: &Authority, asked: Option<u32>, most: u32| {
        // Not more than is left, so that no default is reported as shortened. On the last day it is 1, which
        // `ValidityPeriod::within` cuts.
        asked.unwrap_or_else(|| authority.days_left(now).clamp(1, most))
    };
    Ok(match command {
        AuthorityCommand::Init { name, days } => {
            let authority = Authority::init(dir, name.as_deref(), *days, now)?;
            report::init(&authority, &authority.latest_crl()?)
        }
        AuthorityCommand::Server { name, days: asked, password } => {
            let authority = open()?;
            let (password, days) = (obtain(name, password)?, days(&authority, *asked, SERVER_DAYS));
            report::issued(&authority.server(name.as_str(), days, &password, now)?)
        }
        AuthorityCommand::Client { name, allow, days: asked, password } => {
            let authority = open()?;
            let (password, days) = (obtain(name, password)?, days(&authority, *asked, CLIENT_DAYS));
            report::issued(&authority.client(name.as_str(), allow, days, &password, now)?)
        }
        AuthorityCommand::Revoke { which, reason } => {
            let authority = open()?;
            report::revoked(&authority, &authority.revoke(which, *reason, now)?)
        }
        AuthorityCommand::Crl { days, clock_was_ahead } => {
            let authority = open()?;
            let days = days.map_or_else(|| authority.latest_crl().map(|last| last.days), Ok)?;
            let list = if *clock_was_ahead {
                authority.crl_after_clock_was_ahead(days, now)?
            } else {
                authority.crl(days, now)?
            };
            report::crl(&authority, &list)
        }
        AuthorityCommand::List => {
            let authority = open()?;
            authority.settle(now)?;
            report::list(&authority, &authority.list()?, now)
        }
    })
}
