//! Where log lines go: to standard error, as text or JSON, both processes alike. A knock never waits
//! for whoever reads them: a line that nobody takes is lost, and counted.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Mutex;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
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
        .with_writer(Mutex::new(Patient { out: io::stderr(), format, lost: 0 }))
        .with_ansi(false);
    // Nobody else has set one; if somebody had, theirs would do.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Writes what is taken at once, and nothing else.
struct Patient<W> {
    out: W,
    format: LogFormat,
    lost: u64,
}

impl<W: AsFd + Write> Patient<W> {
    /// Whether a line would be taken: a pipe or socket that polls as writable has room for a page.
    fn is_taken(&self) -> bool {
        let mut polled = [PollFd::new(self.out.as_fd(), PollFlags::POLLOUT)];
        matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1))
    }

    fn confess(&mut self) -> io::Result<()> {
        let lost = std::mem::take(&mut self.lost);
        match self.format {
            _ if lost == 0 => Ok(()),
            LogFormat::Text => {
                writeln!(self.out, "WARN {lost} log lines are lost: nobody took them")
            }
            LogFormat::Json => writeln!(
                self.out,
                r#"{{"level":"WARN","message":"log lines are lost: nobody took them","lost":{lost}}}"#
            ),
        }
    }
}

impl<W: AsFd + Write> Write for Patient<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // An error is a loss like any other: a log that is gone must not end the daemon.
        if !self.is_taken() || self.confess().and_then(|()| self.out.write_all(line)).is_err() {
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// So many lines in a second, and the count of those not told.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    second: u64,
    told: u32,
    untold: u64,
}

impl Rate {
    /// Enough to see an attack, little enough to live through one: about 1 kB/s.
    const PER_SECOND: u32 = 5;

    /// Leave for one line in this second, by any clock, with the number of lines that went untold before it.
    pub(crate) fn leave(&mut self, second: u64) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.told = 0;
        }
        if self.told == Self::PER_SECOND {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_takes_are_lost_and_counted() {
        use std::io::Read;

        let (mut reader, writer) = io::pipe().unwrap();
        let mut patient = Patient { out: writer, format: LogFormat::Text, lost: 0 };
        let line = [b'x'; 1000];
        while patient.lost < 3 {
            patient.write_all(&line).unwrap();
        }
        let mut taken = vec![0; 100_000];
        let _ = reader.read(&mut taken).unwrap();
        patient.write_all(b"and on\n").unwrap();
        drop(patient);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("WARN 3 log lines are lost: nobody took them\nand on\n"), "{rest}");
    }

    #[test]
    fn an_attack_is_told_within_a_rate_and_counted() {
        let mut rate = Rate::default();
        let told =
            |rate: &mut Rate, second| (0..100).filter(|_| rate.leave(second).is_some()).count();
        assert_eq!(told(&mut rate, 1), 5);
        assert_eq!(rate.leave(2), Some(95));
        assert_eq!(rate.leave(2), Some(0));
    }
}
