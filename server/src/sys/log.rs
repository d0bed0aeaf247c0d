//! Where log lines go: to standard error, as text or JSON, both processes alike. A knock never waits
//! for whoever reads them, and what is told of many knocks at once is written at once.

mod buffer;
mod lossy_writer;

use std::io;
use std::io::{Stderr, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::buffer::Buffer;
use self::lossy_writer::{LossyWriter, Whose};
use super::plain_text;
use serde::{Deserialize, Serialize};

/// Which lines are told, unless the environment says otherwise.
const USUAL: &str = "info";

/// The environment variable that says otherwise, for example `SKNOCK_LOG=trace`.
pub const VARIABLE: &str = "SKNOCK_LOG";

/// Everybody's, once it has begun.
static OUT: OnceLock<Mutex<LossyWriter<Stderr>>> = OnceLock::new();

/// For whom the log is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// People.
    #[default]
    Text,
    /// Programs.
    Json,
}

/// Begins to log. Called once in each process; a second call has no effect.
pub fn begin(format: LogFormat) {
    OUT.get_or_init(|| Mutex::new(LossyWriter::new(io::stderr(), format)));
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(USUAL));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(Log(format)).with_ansi(false);
    // Nobody else has set one; if somebody had, theirs would do.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Does `work`; what this thread tells meanwhile is written at its end, many lines with one system
/// call, or earlier if it is more than a page. Also if it panics.
pub(crate) fn buffered<T>(work: impl FnOnce() -> T) -> T {
    together_by(write_out, work)
}

fn together_by<T>(write: fn(&Buffer), work: impl FnOnce() -> T) -> T {
    /// Whoever leaves, leaves nothing behind.
    struct Leaving(fn(&Buffer));
    impl Drop for Leaving {
        fn drop(&mut self) {
            buffer::release(self.0);
        }
    }
    buffer::hold();
    let _leaving = Leaving(write);
    work()
}

/// Writes lines of another process. Where nobody reads, they are lost before ours.
pub(crate) fn pass_on<'a>(lines: impl Iterator<Item = &'a [u8]>) {
    together_by(write_passed_on, || {
        // More than a page at a time could keep us waiting for the reader.
        let pieces = lines.flat_map(|line| line.chunks(buffer::PAGE));
        pieces.for_each(|piece| buffer::add(piece, write_passed_on));
    });
}

/// Writes what was kept while nobody read.
pub(crate) fn catch_up() {
    if let Some(mut out) = out() {
        out.catch_up();
    }
}

fn write_out(held: &Buffer) {
    if let Some(mut out) = out() {
        out.take(held.bytes(), held.lines(), Whose::Ours);
    }
}

fn write_passed_on(held: &Buffer) {
    if let Some(mut out) = out() {
        out.take(held.bytes(), held.lines(), Whose::PassedOn);
    }
}

fn out() -> Option<MutexGuard<'static, LossyWriter<Stderr>>> {
    // Somebody panicked while writing: at worst half a line is there.
    OUT.get().map(|out| out.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Each line of each thread comes through here. Most of what others have chosen is escaped before; JSON and errors
/// leave some of it as it is.
#[derive(Clone, Copy)]
struct Log(LogFormat);

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        buffer::add(&plain_text::escaped(line, self.0 == LogFormat::Json), write_out);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// So many lines in a second, and the count of those not told.
#[derive(Debug)]
pub(crate) struct RateLimit {
    most: u32,
    second: u64,
    told: u32,
    suppressed: u64,
}

impl Default for RateLimit {
    /// Five: enough to see an attack, little enough to live through one, about 1 kB/s.
    fn default() -> Self {
        Self::of(5)
    }
}

impl RateLimit {
    /// At most so many.
    pub(crate) fn of(most: u32) -> Self {
        Self { most, second: 0, told: 0, suppressed: 0 }
    }

    /// Leave for one line in this second, by any clock, with the number of lines that went untold before it.
    pub(crate) fn permit(&mut self, second: u64) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.told = 0;
        }
        if self.told == self.most {
            self.suppressed += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_rate_is_kept_to_as_well() {
        let mut rate = RateLimit::of(100);
        assert_eq!((0..300).filter(|_| rate.permit(7).is_some()).count(), 100);
        assert_eq!(rate.permit(8), Some(200), "and what was left out is counted");
    }

    #[test]
    fn an_attack_is_told_within_a_rate_and_counted() {
        let mut rate = RateLimit::default();
        let told = |rate: &mut RateLimit, second| {
            (0..100).filter(|_| rate.permit(second).is_some()).count()
        };
        assert_eq!(told(&mut rate, 1), 5);
        assert_eq!(rate.permit(2), Some(95));
        assert_eq!(rate.permit(2), Some(0));
    }
}
