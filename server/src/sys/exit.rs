//! How processes end, for scripts and for systemd (sysexits.h).

/// Something failed that may work another time.
pub const FAILURE: u8 = 1;

/// The command line is wrong.
pub const USAGE: u8 = 2;

/// Something outside is missing: a revocation list that cannot be fetched, another sknockd's table.
pub const UNAVAILABLE: u8 = 69;

/// What was on trial was not confirmed in time; trying again by itself would only lock out again.
pub const UNCONFIRMED: u8 = 75;

/// The configuration, or a file that it names, is wrong; trying again changes nothing.
pub const CONFIGURATION: u8 = 78;
