//! How processes end, for scripts and for systemd (sysexits.h), and what a command without a log writes to standard
//! error before.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

use sknock_protocol::plain_text::escaped;

/// Something failed that may work another time.
pub const FAILURE: u8 = 1;

/// Something outside is missing: a revocation list that cannot be fetched, another sknockd's table.
pub const UNAVAILABLE: u8 = 69;

/// What was on trial was not confirmed in time; trying again by itself would only lock out again.
pub const UNCONFIRMED: u8 = 75;

/// The configuration, or a file that it names, is wrong; trying again changes nothing.
pub const CONFIGURATION: u8 = 78;

/// Writes one line, or several, to standard error. A full disk, or a closed pipe, changes no exit code.
pub fn told(what: impl Display) {
    writeln!(io::stderr(), "{}", escaped(&what.to_string(), false)).ok();
}

/// Prints what clap says of a command line, and ends the program with clap's exit code.
pub fn refuse(answer: &clap::Error) -> ! {
    let text = answer.render().to_string();
    // Where nothing has to be escaped, clap's own colours stay.
    match escaped(&text, false) {
        Cow::Borrowed(_) => answer.print().ok(),
        Cow::Owned(text) => write!(io::stderr(), "{text}").ok(),
    };
    std::process::exit(answer.exit_code())
}
