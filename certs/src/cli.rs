//! From arguments to exit code. What the authority does is decided in the library, how it is told in
//! `report`.

mod args;
mod password;
mod report;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use serde_json::json;
use sknock_certs::{Authority, Error, Name};
use sknock_protocol::Moment;

pub(crate) use args::Args;
use args::Command;
use password::PasswordError;
use report::Report;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Authority(#[from] Error),
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// Does what the arguments say and tells about it: 0 if it was done, 1 if not, 2 if they make no sense.
pub(crate) fn run(args: &Args, now: Moment) -> ExitCode {
    let Some(dir) = &args.dir else {
        Args::command()
            .error(
                ErrorKind::MissingRequiredArgument,
                "the authority's folder is missing: --dir DIR",
            )
            .exit()
    };
    let outcome = execute(&args.command, dir, args.password_file.as_deref(), now);
    let (text, json, code) = match outcome {
        Ok(Report { text, json }) => (text, json, ExitCode::SUCCESS),
        Err(failure) => {
            // a closed standard error is no reason to end otherwise
            let _ = writeln!(io::stderr(), "sknock-ca: {failure}");
            (String::new(), json!({ "error": failure.to_string() }), ExitCode::FAILURE)
        }
    };
    let output = if args.json { format!("{json:#}\n") } else { text };
    match io::stdout().write_all(output.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn execute(
    command: &Command,
    dir: &Path,
    password: Option<&Path>,
    now: Moment,
) -> Result<Report, Failure> {
    // opened before any prompt, so that nobody types a password in vain
    let open = || Authority::open(dir);
    let password = |name: &Name| password::obtain(password, &format!("{name}.pfx"));
    Ok(match command {
        Command::Init { name, days } => {
            let authority = Authority::init(dir, name.as_deref(), *days, now)?;
            report::init(&authority, &authority.latest_crl()?)
        }
        Command::Server { name, days } => {
            let authority = open()?;
            report::issued(&authority.server(name.as_str(), *days, &password(name)?, now)?)
        }
        Command::Client { name, allow, days } => {
            let authority = open()?;
            report::issued(&authority.client(name.as_str(), allow, *days, &password(name)?, now)?)
        }
        Command::Revoke { which, reason } => {
            let authority = open()?;
            report::revoked(&authority, &authority.revoke(which, *reason, now)?)
        }
        Command::Crl { days } => {
            let authority = open()?;
            let days = days.map_or_else(|| authority.latest_crl().map(|last| last.days), Ok)?;
            report::crl(&authority, &authority.crl(days, now)?)
        }
        Command::List => {
            let authority = open()?;
            report::list(&authority, &authority.list()?, now)
        }
    })
}
