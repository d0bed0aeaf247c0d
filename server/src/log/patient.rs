//! Writes what is taken at once, and nothing else: a line that nobody takes is lost, and counted.

use std::io::Write;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::config::LogFormat;

/// Never waits for a reader.
pub(super) struct Patient<W> {
    out: W,
    format: LogFormat,
    lost: u64,
}

impl<W: AsFd + Write> Patient<W> {
    /// Nothing is lost yet.
    pub(super) fn new(out: W, format: LogFormat) -> Self {
        Self { out, format, lost: 0 }
    }

    /// Writes these lines, all or none. They should be no more than a page: that much is taken by a pipe
    /// or socket that polls as writable.
    pub(super) fn take(&mut self, bytes: &[u8], lines: u64) {
        if self.lost > 0 {
            self.confess();
        }
        if !self.write(bytes) {
            self.lost += lines;
        }
    }

    /// An error is a loss like any other: a log that is gone must not end the daemon.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let mut polled = [PollFd::new(self.out.as_fd(), PollFlags::POLLOUT)];
        matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1)) && self.out.write_all(bytes).is_ok()
    }

    fn confess(&mut self) {
        let lost = self.lost;
        let line = match self.format {
            LogFormat::Text => format!("WARN {lost} log lines are lost: nobody took them\n"),
            LogFormat::Json => format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines are lost: nobody took them\",\"lost\":{lost}}}\n"
            ),
        };
        if self.write(line.as_bytes()) {
            self.lost = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::*;

    #[test]
    fn lines_that_nobody_takes_are_lost_and_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut patient = Patient::new(writer, LogFormat::Text);
        let lines = [b'x'; 4000];
        while patient.lost < 6 {
            patient.take(&lines, 2);
        }
        let mut taken = vec![0; 100_000];
        let _ = reader.read(&mut taken).unwrap();
        patient.take(b"and on\n", 1);
        drop(patient);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("WARN 6 log lines are lost: nobody took them\nand on\n"), "{rest}");
    }
}
