//! Log lines go to standard error, as text or JSON, in both processes. Knocks never wait for a reader of the
//! log, and the lines of many knocks are written with one system call.

mod lossy_writer;

use std::cell::RefCell;
use std::io::{self, Stderr, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::lossy_writer::{LossyWriter, Whose};
use super::plain_text;

/// The default filter.
const USUAL: &str = "info";

/// The environment variable for another filter, for example `SKNOCK_LOG=trace`.
pub const VARIABLE: &str = "SKNOCK_LOG";

/// Shared by all threads, from the first `begin` on.
static OUT: OnceLock<Mutex<LossyWriter<Stderr>>> = OnceLock::new();

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Starts logging. Called once in each process; a second call has no effect.
pub fn begin(format: LogFormat) {
    OUT.get_or_init(|| Mutex::new(LossyWriter::new(io::stderr(), format)));
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(USUAL));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(Log(format)).with_ansi(false);
    // Fails only if another subscriber is set; that one is then used.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Runs `work`; this thread's log lines are written at its end with one system call, or earlier if they
/// exceed a page. Also after a panic.
pub(crate) fn buffered<T>(work: impl FnOnce() -> T) -> T {
    together_by(write_out, work)
}

fn together_by<T>(write: fn(&Buffer), work: impl FnOnce() -> T) -> T {
    /// Writes the buffer when dropped, also after a panic.
    struct Leaving(fn(&Buffer));
    impl Drop for Leaving {
        fn drop(&mut self) {
            self::release(self.0);
        }
    }
    self::hold();
    let _leaving = Leaving(write);
    work()
}

/// Writes lines of another process. Without a reader they are dropped before ours.
pub(crate) fn pass_on<'a>(lines: impl Iterator<Item = &'a [u8]>) {
    together_by(write_passed_on, || {
        // A write of more than a page could block.
        let pieces = lines.flat_map(|line| line.chunks(self::PAGE));
        pieces.for_each(|piece| self::add(piece, write_passed_on));
    });
}

/// Writes lines that were kept while there was no reader.
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
    // A thread panicked during a write: at worst half a line is written.
    OUT.get().map(|out| out.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Formats all lines. Text from untrusted sources is mostly escaped before; this escapes the rest, in JSON
/// and errors.
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
        self::add(&plain_text::escaped(line, self.0 == LogFormat::Json), write_out);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Limits lines per second, and counts the suppressed ones.
#[derive(Debug)]
pub(crate) struct RateLimit {
    most: u32,
    second: u64,
    logged: u32,
    suppressed: u64,
}

impl Default for RateLimit {
    /// Five: enough to see an attack, and only about 1 kB/s.
    fn default() -> Self {
        Self::of(5)
    }
}

impl RateLimit {
    /// At most this number.
    pub(crate) fn of(most: u32) -> Self {
        Self { most, second: 0, logged: 0, suppressed: 0 }
    }

    /// Whether a line may be written in this second, with the number of lines suppressed before it.
    pub(crate) fn permit(&mut self, second: u64) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.logged = 0;
        }
        if self.logged == self.most {
            self.suppressed += 1;
            return None;
        }
        self.logged += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// The space that a writable pipe has at least: `PIPE_BUF` of Linux, in bytes.
pub(super) const PAGE: usize = 4096;

/// Complete lines, together no more than a page, or a single longer one.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    lines: u64,
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    fn add(&mut self, line: &[u8], write: impl FnOnce(&Self)) {
        if self.bytes.len() + line.len() > PAGE {
            self.empty(write);
        }
        self.bytes.extend_from_slice(line);
        self.lines += 1;
    }

    fn empty(&mut self, write: impl FnOnce(&Self)) {
        if self.lines > 0 {
            write(self);
        }
        self.bytes.clear();
        self.lines = 0;
    }
}

/// This thread's buffer, and whether lines are held.
#[derive(Debug, Default)]
struct Page {
    held: Buffer,
    is_held: bool,
}

thread_local! {
    static PAGE_OF_THIS_THREAD: RefCell<Page> = RefCell::default();
}

/// Lines are held from now on.
pub(super) fn hold() {
    PAGE_OF_THIS_THREAD.with_borrow_mut(|page| page.is_held = true);
}

/// Ends holding; `write` gets the held lines.
pub(super) fn release(write: fn(&Buffer)) {
    PAGE_OF_THIS_THREAD.with_borrow_mut(|page| {
        page.is_held = false;
        page.held.empty(write);
    });
}

/// Adds a line. `write` gets it now if lines are not held, else later with others.
pub(super) fn add(line: &[u8], write: fn(&Buffer)) {
    PAGE_OF_THIS_THREAD.with_borrow_mut(|page| {
        page.held.add(line, write);
        if !page.is_held {
            page.held.empty(write);
        }
    });
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
    fn log_lines_over_the_rate_are_suppressed_and_counted() {
        let mut rate = RateLimit::default();
        let logged = |rate: &mut RateLimit, second| {
            (0..100).filter(|_| rate.permit(second).is_some()).count()
        };
        assert_eq!(logged(&mut rate, 1), 5);
        assert_eq!(rate.permit(2), Some(95));
        assert_eq!(rate.permit(2), Some(0));
    }

    thread_local! {
        static WRITTEN: RefCell<Vec<(usize, u64)>> = RefCell::default();
    }

    fn note(held: &Buffer) {
        WRITTEN.with_borrow_mut(|written| written.push((held.bytes().len(), held.lines())));
    }

    #[test]
    fn lines_are_written_at_once_or_held_and_written_together_a_page_at_a_time() {
        add(b"alone\n", note);
        hold();
        for _ in 0..9 {
            add(&[b'x'; 1000], note);
        }
        WRITTEN.with_borrow(|written| assert_eq!(written[..], [(6, 1), (4000, 4), (4000, 4)]));
        release(note);
        add(b"alone\n", note);
        WRITTEN.with_borrow(|written| assert_eq!(written[3..], [(1000, 1), (6, 1)]));
    }

    #[test]
    fn a_line_longer_than_a_page_is_written_whole_and_by_itself() {
        hold();
        add(b"before\n", note);
        add(&[b'x'; 5000], note);
        add(b"after\n", note);
        release(note);
        WRITTEN.with_borrow(|written| assert_eq!(written[..], [(7, 1), (5000, 1), (6, 1)]));
    }
}
