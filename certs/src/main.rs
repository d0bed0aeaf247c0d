//! sknock-ca: the authority on the command line. The only file here that reads the clock.

#![deny(clippy::print_stderr, clippy::print_stdout)] // they panic if the output is closed

mod cli;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use nix::sys::signal::{SigSet, Signal};
use sknock_protocol::Timestamp;

fn main() -> ExitCode {
    block_sigxfsz();
    let args = cli::Args::try_parse().unwrap_or_else(|error| cli::refuse(&cli::misread(error)));
    cli::run(&args, now())
}

/// With SIGXFSZ blocked, a write beyond `ulimit -f` fails with an error, like a full disk, instead of a
/// signal.
fn block_sigxfsz() {
    let signal = SigSet::from(Signal::SIGXFSZ);
    signal.thread_block().ok();
}

/// The time of this run, read once. A clock before 1970 is treated as 1970.
fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the program's one look at the clock")]
    let clock = SystemTime::now();
    clock.duration_since(UNIX_EPOCH).map_or(Timestamp::EPOCH, |span| Timestamp::EPOCH.after(span))
}
