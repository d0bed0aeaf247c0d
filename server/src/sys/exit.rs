//! How processes end, for scripts and for systemd (sysexits.h), and what a command without a log writes to standard
//! error before.

use std::fmt::Display;
use std::io::{self, Write};

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
    writeln!(io::stderr(), "{what}").ok();
}
