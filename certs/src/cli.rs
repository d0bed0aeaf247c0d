//! From arguments to exit code. What the authority does is decided in the library, how it is told in
//! `report`.

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

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandFailure {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// How long certificates are valid if nobody says so, in days.
const SERVER_DAYS: u32 = 3650;
const CLIENT_DAYS: u32 = 365;

/// A second service behind one `--allow` is told where it belongs; all else clap says well.
pub(crate) fn misread(error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if error.kind() != ErrorKind::UnknownArgument || Service::spelt(wrong).is_err() {
        return error;
    }
    let told = format!("each service needs its own option. Write --allow {wrong}\n");
    clap::Error::raw(ErrorKind::UnknownArgument, told)
}

/// Does what the arguments say and tells about it: 0 if it was done, 1 if not, 2 if they make no sense.
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
        // Who reads no further (`| head`) wants no more of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        // To tell is all that this was to do.
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

/// What clap says of a command line, and the end of the program with clap's exit code.
pub(crate) fn refuse(answer: &clap::Error) -> ! {
    let text = answer.render().to_string();
    // Nobody has to hear it. Where nothing has to be escaped, clap's own colours stay.
    match escaped(&text, false) {
        Cow::Borrowed(_) => answer.print().ok(),
        Cow::Owned(text) => write!(io::stderr(), "{text}").ok(),
    };
    std::process::exit(answer.exit_code())
}

fn complain(what: &str) {
    // a closed standard error is no reason to end otherwise
    let _ = writeln!(io::stderr(), "sknock-ca: {}", one_line(what));
}

fn execute(
    command: &AuthorityCommand,
    dir: &Path,
    password_file: Option<&Path>,
    now: Timestamp,
) -> Result<CommandReport, CommandFailure> {
    // opened before any prompt, so that nobody types a password in vain
    let open = || Authority::open(dir);
    let obtain = |name: &CertificateName, password: &PasswordArgument| {
        let file = password.file.as_deref().or(password_file);
        password::obtain(file, &format!("{name}.pfx"))
    };
    let days = |authority: &Authority, asked: Option<u32>, most: u32| {
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
