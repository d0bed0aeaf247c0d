//! sknock-ca: the authority on the command line. The clock is read here and nowhere else.

#![deny(clippy::print_stderr, clippy::print_stdout)] // they panic where nobody can hear them

mod cli;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use nix::sys::signal::{SigSet, Signal};
use sknock_protocol::Timestamp;

fn main() -> ExitCode {
    heed_no_file_size();
    let args = cli::Args::try_parse().unwrap_or_else(|error| cli::refuse(&cli::misread(error)));
    cli::run(&args, now())
}

/// A file that may grow no more is an error of the write, as a full disk is, and no signal that ends us.
fn heed_no_file_size() {
    let signal = SigSet::from(Signal::SIGXFSZ);
    // It is a signal that can be blocked.
    signal.thread_block().ok();
}

/// The time of this run: one for everything it does. A clock before 1970 counts as 1970.
fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the program's one look at the clock")]
    let clock = SystemTime::now();
    clock.duration_since(UNIX_EPOCH).map_or(Timestamp::EPOCH, |span| Timestamp::EPOCH.after(span))
}
