//! sknock-ca: the authority on the command line. The clock is read here and nowhere else.

mod cli;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use sknock_protocol::Moment;

fn main() -> ExitCode {
    let args = cli::Args::try_parse().unwrap_or_else(|error| cli::misread(error).exit());
    cli::run(&args, now())
}

/// The time of this run: one for everything it does. A clock before 1970 counts as 1970.
fn now() -> Moment {
    #[expect(clippy::disallowed_methods, reason = "the program's one look at the clock")]
    let clock = SystemTime::now();
    clock.duration_since(UNIX_EPOCH).map_or(Moment::EPOCH, |span| Moment::EPOCH.after(span))
}
