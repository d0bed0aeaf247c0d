//! Exit codes for scripts and systemd (sysexits.h), and the messages of commands without a log on standard
//! error.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

use sknock_protocol::plain_text::escaped;

/// A failure that may not repeat.
pub const FAILURE: u8 = 1;

/// An external resource is unavailable: a CRL that cannot be fetched, another sknockd's table.
pub const UNAVAILABLE: u8 = 69;

/// The trial was not confirmed in time; an automatic restart would only lock out again.
pub const UNCONFIRMED: u8 = 75;

/// The configuration, or a file that it names, is wrong; a restart has the same result.
pub const CONFIGURATION: u8 = 78;

/// Writes lines to standard error. A full disk, or a closed pipe, does not change the exit code.
pub fn print_error(what: impl Display) {
    writeln!(io::stderr(), "{}", escaped(&what.to_string(), false)).ok();
}

/// Prints clap's message, and exits with clap's exit code.
pub fn refuse(answer: &clap::Error) -> ! {
    let text = answer.render().to_string();
    // clap's colours remain if nothing has to be escaped.
    match escaped(&text, false) {
        Cow::Borrowed(_) => answer.print().ok(),
        Cow::Owned(text) => write!(io::stderr(), "{text}").ok(),
    };
    std::process::exit(answer.exit_code())
}
