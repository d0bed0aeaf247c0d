//! A writer that never blocks. Our own lines are kept, up to a limit, until they are written; further ones,
//! and lines of another process, are dropped and counted.

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::LogFormat;

/// Maximum size of kept lines, in bytes: about 7,000 lines of grants.
const ROOM: usize = 1 << 20;

/// The origin of lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    Ours,
    PassedOn,
}

/// Never blocks.
pub(super) struct LossyWriter<W> {
    out: W,
    format: LogFormat,
    /// Our own lines that are not written yet, in the pieces in which they arrived.
    kept: VecDeque<Vec<u8>>,
    kept_bytes: usize,
    lost: u64,
}

impl<W: AsFd + Write> LossyWriter<W> {
    /// A writer without losses.
    pub(super) fn new(out: W, format: LogFormat) -> Self {
        Self { out, format, kept: VecDeque::new(), kept_bytes: 0, lost: 0 }
    }

    /// Writes these lines, all or none. They should not exceed a page: a pipe or socket that polls as
    /// writable accepts that much.
    pub(super) fn take(&mut self, bytes: &[u8], lines: u64, whose: Whose) {
        if self.catch_up() && self.write(bytes) {
            return;
        }
        if whose == Whose::Ours && self.kept_bytes + bytes.len() <= ROOM {
            self.kept_bytes += bytes.len();
            self.kept.push_back(bytes.to_vec());
        } else {
            self.lost += lines;
        }
    }

    /// Writes kept lines, as far as the reader accepts them; returns whether none is left.
    pub(super) fn catch_up(&mut self) -> bool {
        while let Some(bytes) = self.kept.pop_front() {
            if !self.write(&bytes) {
                self.kept.push_front(bytes);
                return false;
            }
            self.kept_bytes -= bytes.len();
        }
        if self.lost > 0 {
            self.report_lost();
        }
        true
    }

    /// An error is treated as a loss: a failing log must not end the daemon.
    fn write(&mut self, bytes: &[u8]) -> bool {
        // Not O_NONBLOCK: it is a flag of the open file description (fcntl(2)), which programs of the same
        // terminal or unit share.
        let mut polled = [PollFd::new(self.out.as_fd(), PollFlags::POLLOUT)];
        matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1)) && self.out.write_all(bytes).is_ok()
    }

    fn report_lost(&mut self) {
        let lost = self.lost;
        let line = match self.format {
            LogFormat::Text => format!(
                "WARN {lost} log lines dropped: standard error was not \
                                        writable\n"
            ),
            LogFormat::Json => format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines dropped: standard error was not \
                 writable\",\"lost\":{lost}}}\n"
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
    fn lines_that_are_not_read_are_dropped_and_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut patient = LossyWriter::new(writer, LogFormat::Text);
        let lines = [b'x'; 4000];
        while patient.lost < 6 {
            patient.take(&lines, 2, Whose::PassedOn);
        }
        let mut taken = vec![0; 100_000];
        let _ = reader.read(&mut taken).unwrap();
        patient.take(b"and on\n", 1, Whose::PassedOn);
        drop(patient);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(
            rest.ends_with("WARN 6 log lines dropped: standard error was not writable\nand on\n"),
            "{rest}"
        );
    }

    #[test]
    fn our_own_line_is_kept_while_other_lines_fill_the_pipe() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut patient = LossyWriter::new(writer, LogFormat::Text);
        while patient.lost == 0 {
            patient.take(&[b'x'; 4000], 1, Whose::PassedOn);
        }
        patient.take(b"a door is open\n", 1, Whose::Ours);
        patient.take(b"of the flood\n", 1, Whose::PassedOn);
        assert!(!patient.catch_up(), "nobody has read");
        let mut taken = vec![0; 100_000];
        let _ = reader.read(&mut taken).unwrap();
        assert!(patient.catch_up());
        drop(patient);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(
            rest.ends_with(
                "a door is open\nWARN 2 log lines dropped: standard error was not writable\n"
            ),
            "{rest}"
        );
    }

    #[test]
    fn unread_lines_are_kept_up_to_a_limit() {
        let (_reader, writer) = io::pipe().unwrap();
        let mut patient = LossyWriter::new(writer, LogFormat::Text);
        for _ in 0..1000 {
            patient.take(&[b'x'; 4000], 1, Whose::Ours);
        }
        assert!((ROOM - 4000..=ROOM).contains(&patient.kept_bytes), "{}", patient.kept_bytes);
        assert!(patient.lost > 700, "{}", patient.lost);
    }
}
