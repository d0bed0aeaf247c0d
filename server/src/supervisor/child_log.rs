//! The log of a network process arrives through a pipe of its own. A shared standard error is one open file:
//! each process could shut it down or truncate it for all.
//!
//! Lines are passed on within the [`Allowance`]; the rest is read and dropped, so that the network process
//! never blocks. A compromised one can log lines that look like ours, but it cannot suppress ours, and hidden
//! characters are removed.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use sknock_gate::BootInstant;

use super::log_budget::Allowance;
use crate::sys::{log, plain_text};

/// Maximum number of bytes read in one round, so that an endless log does not delay other work.
const AT_ONCE: usize = 64 * 1024;

/// Maximum length of a line that is buffered until its end arrives.
const MAX_LENGTH: usize = 16 * 1024;

/// The last lines of an ended process that are always passed on: they may contain the cause.
const LAST: usize = 20;

/// The reading end of the pipe.
#[derive(Debug)]
pub(crate) struct ChildLog {
    pipe: PipeReader,
    /// The read buffer, reused in every round.
    room: Box<[u8]>,
    rest: Rest,
    errors: FirstErrors,
}

/// The first errors of a process that is not serving yet: they may contain the reason of a failed start.
#[derive(Debug, Default)]
struct FirstErrors(Vec<String>);

/// Maximum number of errors, and maximum length of each in bytes.
const ERRORS: usize = 5;
const ERROR_LENGTH: usize = 1000;

impl FirstErrors {
    fn look(&mut self, lines: &[u8]) {
        let room = ERRORS.saturating_sub(self.0.len());
        // Both log formats contain this word.
        let errors = lines_of(lines).filter(|line| line.windows(5).any(|word| word == b"ERROR"));
        self.0.extend(errors.take(room).map(|line| {
            let text = String::from_utf8_lossy(line.get(..ERROR_LENGTH).unwrap_or(line));
            text.trim_end().replace('\t', " ")
        }));
    }
}

impl ChildLog {
    /// A pipe: the reading end, and standard error of the network process.
    pub(crate) fn new() -> io::Result<(Self, PipeWriter)> {
        let (pipe, theirs) = io::pipe()?;
        // Only this end: each end of a pipe is an open file description of its own, with its own status
        // flags.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let room = vec![0; AT_ONCE].into_boxed_slice();
        let (rest, errors) = (Rest::default(), FirstErrors::default());
        Ok((Self { pipe, room, rest, errors }, theirs))
    }

    /// Readable when there are lines, or at the end of the pipe.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Passes on available lines, up to a limit. `false` at the end of the pipe.
    pub(crate) fn pass_on(&mut self, allowance: &mut Allowance, now: BootInstant) -> bool {
        let lines = self.read();
        self.errors.look(lines.as_deref().unwrap_or_default());
        let granted = lines_of(lines.as_deref().unwrap_or_default())
            .filter(|line| allowance.grants(line.len(), now));
        log::pass_on(granted);
        lines.is_some()
    }

    /// Passes on the rest after the process has ended: the last lines, and earlier ones within the allowance.
    pub(crate) fn finish(&mut self, allowance: &mut Allowance, now: BootInstant) {
        let mut left = Vec::new();
        // At least the capacity of a pipe, whatever size it was given.
        for _ in 0..64 {
            let Some(lines) = self.read() else { break };
            left.extend(lines);
        }
        left.extend(plain_text::lines(self.rest.end()));
        self.errors.look(&left);
        let first_of_last = lines_of(&left).count().saturating_sub(LAST);
        let granted = lines_of(&left)
            .enumerate()
            .filter(|(number, line)| *number >= first_of_last || allowance.grants(line.len(), now));
        log::pass_on(granted.map(|(_, line)| line));
    }

    /// The first errors in the log.
    pub(crate) fn into_errors(self) -> Vec<String> {
        self.errors.0
    }

    /// The available complete lines; `None` at the end of the pipe.
    fn read(&mut self) -> Option<Vec<u8>> {
        self.read_raw().map(plain_text::lines)
    }

    fn read_raw(&mut self) -> Option<Vec<u8>> {
        match self.pipe.read(&mut self.room) {
            Ok(0) => Some(self.rest.end()).filter(|rest| !rest.is_empty()),
            Ok(length) => Some(self.rest.add(self.room.get(..length).unwrap_or_default())),
            Err(error) => {
                let kind = error.kind();
                matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
                    .then(Vec::new)
            }
        }
    }
}

/// Each with its line end.
fn lines_of(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines.split_inclusive(|byte| *byte == b'\n')
}

/// The beginning of an incomplete line.
#[derive(Debug, Default)]
struct Rest(Vec<u8>);

impl Rest {
    /// The lines that `bytes` complete. A line over the limit is split here, so that our next line begins on
    /// a new one.
    fn add(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(bytes);
        let end = self.0.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if end == 0 && self.0.len() > MAX_LENGTH {
            return self.end();
        }
        let rest = self.0.split_off(end);
        std::mem::replace(&mut self.0, rest)
    }

    /// The incomplete line with a line end; empty if there is none.
    fn end(&mut self) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.0);
        if !line.is_empty() {
            line.push(b'\n');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_one_without_end_is_ended() {
        let mut rest = Rest::default();
        assert_eq!(rest.add(b"one\ntwo\nth"), b"one\ntwo\n");
        assert_eq!(rest.add(b"r"), b"");
        assert_eq!(rest.add(b"ee\n"), b"three\n");
        assert_eq!(rest.end(), b"");
        let long = "x".repeat(MAX_LENGTH);
        assert_eq!(rest.add(long.as_bytes()), b"");
        assert_eq!(rest.add(b"x"), format!("{long}x\n").into_bytes());
        assert_eq!(rest.add(b"four"), b"");
        assert_eq!(rest.end(), b"four\n");
    }

    #[test]
    fn a_process_that_writes_into_it_never_waits_and_what_is_over_is_dropped() {
        use std::io::Write;

        let (mut log, mut theirs) = ChildLog::new().unwrap();
        let (mut allowance, now) = (Allowance::of(1), BootInstant::default());
        // Many times the capacity of a pipe.
        let line = "x".repeat(1023) + "\n";
        for _ in 0..20_000 {
            theirs.write_all(line.as_bytes()).unwrap();
            assert!(log.pass_on(&mut allowance, now));
        }
        let excess = allowance.excess(now).unwrap();
        // The byte budget of ten seconds.
        assert_eq!(excess.dropped, 20_000 - 10 * excess.bytes / 1024);
        drop(theirs);
        assert!(!log.pass_on(&mut allowance, now), "the end is told");
    }

    #[test]
    fn the_first_errors_are_kept_and_cannot_paint_a_terminal() {
        use std::io::Write;

        let (mut log, mut theirs) = ChildLog::new().unwrap();
        let (mut allowance, now) = (Allowance::of(1), BootInstant::default());
        theirs.write_all(b"INFO fine\nx ERROR one\n\"ERROR\" \x1b[31mtwo\xff\r\n").unwrap();
        assert!(log.pass_on(&mut allowance, now));
        assert_eq!(log.errors.0, ["x ERROR one", "\"ERROR\" _[31mtwo__"]);
        theirs.write_all(&[b"ERROR".repeat(1000), b"\n".to_vec()].concat().repeat(10)).unwrap();
        assert!(log.pass_on(&mut allowance, now));
        let errors = log.into_errors();
        assert_eq!((errors.len(), errors[4].len()), (ERRORS, ERROR_LENGTH));
    }

    #[test]
    fn the_last_lines_of_a_process_that_has_ended_are_never_dropped() {
        use std::io::Write;

        let (mut log, mut theirs) = ChildLog::new().unwrap();
        let (mut allowance, now) = (Allowance::of(1), BootInstant::default());
        while allowance.grants(1, now) {}
        let _ = allowance.excess(now);
        theirs.write_all(&b"one of many\n".repeat(50)).unwrap();
        theirs.write_all(b"the end").unwrap();
        drop(theirs);
        log.finish(&mut allowance, now);
        let dropped = allowance.last_excess(now).unwrap().dropped;
        assert_eq!(dropped, 51 - u64::try_from(LAST).unwrap());
    }
}
