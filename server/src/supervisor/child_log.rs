//! What a network process logs comes through a pipe of its own. Standard error is one open file of all processes that have
//! it: each of them could end it for all, or empty it.
//!
//! Lines are passed on, as many as the [`Allowance`] grants; the rest is read and dropped, so that
//! the network process never waits. A compromised one can log lines that look like ours, but it cannot
//! make ours disappear, and it sends nothing to a terminal but text.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use sknock_gate::BootInstant;

use super::log_budget::Allowance;
use crate::sys::{log, plain_text};

/// So much is read in one round: a process that logs without end keeps us from nothing else.
const AT_ONCE: usize = 64 * 1024;

/// The longest line that is held until its end comes.
const MAX_LENGTH: usize = 16 * 1024;

/// The number of last lines of a process that has ended that are always passed on: they may say why.
const LAST: usize = 20;

/// Our end of the pipe.
#[derive(Debug)]
pub(crate) struct ChildLog {
    pipe: PipeReader,
    /// Read into in every round, so it is made once.
    room: Box<[u8]>,
    rest: Rest,
    errors: FirstErrors,
}

/// The first errors of a process that does not serve yet: they say why it never will.
#[derive(Debug, Default)]
struct FirstErrors(Vec<String>);

/// How many are kept, and how many bytes of each.
const ERRORS: usize = 5;
const ERROR_LENGTH: usize = 1000;

impl FirstErrors {
    fn look(&mut self, lines: &[u8]) {
        let room = ERRORS.saturating_sub(self.0.len());
        // In both formats of the log.
        let errors = lines_of(lines).filter(|line| line.windows(5).any(|word| word == b"ERROR"));
        self.0.extend(errors.take(room).map(|line| {
            let text = String::from_utf8_lossy(line.get(..ERROR_LENGTH).unwrap_or(line));
            text.trim_end().replace('\t', " ")
        }));
    }
}

impl ChildLog {
    /// A pipe: our end, and standard error of the network process.
    pub(crate) fn new() -> io::Result<(Self, PipeWriter)> {
        let (pipe, theirs) = io::pipe()?;
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let room = vec![0; AT_ONCE].into_boxed_slice();
        let (rest, errors) = (Rest::default(), FirstErrors::default());
        Ok((Self { pipe, room, rest, errors }, theirs))
    }

    /// Readable when there is something to pass on, or its end.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Passes on what is there, some of it if it is much. `false` at the end: the other end is closed.
    pub(crate) fn pass_on(&mut self, allowance: &mut Allowance, now: BootInstant) -> bool {
        let lines = self.read();
        self.errors.look(lines.as_deref().unwrap_or_default());
        let granted = lines_of(lines.as_deref().unwrap_or_default())
            .filter(|line| allowance.grants(line.len(), now));
        log::pass_on(granted);
        lines.is_some()
    }

    /// Passes on what is left when the process has ended: the last lines, and of those before them what is
    /// granted.
    pub(crate) fn finish(&mut self, allowance: &mut Allowance, now: BootInstant) {
        let mut left = Vec::new();
        // As much as a pipe holds, however large it was made.
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

    /// The first errors that it has told.
    pub(crate) fn into_errors(self) -> Vec<String> {
        self.errors.0
    }

    /// The lines that are whole now, one after the other; `None` when nothing comes any more.
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

/// Each with its end.
fn lines_of(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines.split_inclusive(|byte| *byte == b'\n')
}

/// The beginning of a line.
#[derive(Debug, Default)]
struct Rest(Vec<u8>);

impl Rest {
    /// What is whole with `bytes`. A line that is too long is ended here, so that the next of our own
    /// lines begins a line.
    fn add(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(bytes);
        let end = self.0.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if end == 0 && self.0.len() > MAX_LENGTH {
            return self.end();
        }
        let rest = self.0.split_off(end);
        std::mem::replace(&mut self.0, rest)
    }

    /// What is left, as a line; nothing if nothing is.
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
        // More than a pipe holds, many times over.
        let line = "x".repeat(1023) + "\n";
        for _ in 0..20_000 {
            theirs.write_all(line.as_bytes()).unwrap();
            assert!(log.pass_on(&mut allowance, now));
        }
        let excess = allowance.excess(now).unwrap();
        // Ten seconds' worth of bytes.
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
