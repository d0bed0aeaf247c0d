//! What is told on standard error by who has no log. Nobody has to hear it: a full disk or a reader that has
//! gone away changes no exit code.

use std::fmt::Display;
use std::io::{self, Write};

/// One line, or several.
pub fn told(what: impl Display) {
    // The exit code says whether it worked.
    writeln!(io::stderr(), "{what}").ok();
}
