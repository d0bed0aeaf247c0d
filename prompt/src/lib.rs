//! A prompt for a password, without echo. rpassword restores the terminal when the line ends; this crate also
//! restores it when a signal ends the program during the prompt.

#[cfg(unix)]
mod signals;

use std::io;

/// Prints `text` at the terminal of the process, and reads one line there without echo. stdin and stdout are
/// not used.
///
/// SIGINT, SIGTERM, SIGHUP and SIGQUIT end the program during the prompt if they would otherwise; the terminal
/// has its earlier settings then. Call it before other threads start: a thread that does not block these
/// signals would end the program without that.
///
/// # Errors
/// The process has no terminal, or its user ended the input (Ctrl-D).
pub fn password(text: &str) -> io::Result<String> {
    #[cfg(unix)]
    return signals::during(|| rpassword::prompt_password(text));
    #[cfg(not(unix))]
    return rpassword::prompt_password(text);
}
