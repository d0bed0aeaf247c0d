//! Where log lines go: to standard error, as text or JSON, both processes alike.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Which lines are told, unless the environment says otherwise.
const USUAL: &str = "info";

/// The environment variable that says otherwise, for example `SKNOCK_LOG=trace`.
pub const VARIABLE: &str = "SKNOCK_LOG";

/// Begins to log. Called once in each process; a second call has no effect.
pub fn begin(format: LogFormat) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(USUAL));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // Nobody else has set one; if somebody had, theirs would do.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
