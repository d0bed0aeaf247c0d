//! What a network process logs comes through a pipe of its own. Standard error is one open file for all who
//! have it: one of them could end it for all, or empty it.
//!
//! The bytes are passed on as they are. Whoever has captured a network process can still log lines that
//! look like ours, but none of ours is missing.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::log;

/// So much is passed on in one round: whoever logs without end keeps us from nothing else.
const AT_ONCE: usize = 64 * 1024;

/// The longest line that is held until its end comes.
const LONGEST: usize = 16 * 1024;

/// Our end of the pipe.
#[derive(Debug)]
pub(crate) struct ChildLog {
    pipe: PipeReader,
    /// Read into in every round, so it is made once.
    room: Box<[u8]>,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl ChildLog {
    /// A pipe: our end, and standard error of the network process.
    pub(crate) fn new() -> io::Result<(Self, PipeWriter)> {
        let (pipe, theirs) = io::pipe()?;
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let room = vec![0; AT_ONCE].into_boxed_slice();
        Ok((Self { pipe, room, rest: Vec::new() }, theirs))
    }

    /// Readable when there is something to pass on, or its end.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Passes on what is there, some of it if it is much. `false` at the end: nobody has the other end.
    pub(crate) fn pass_on(&mut self) -> bool {
        match self.pipe.read(&mut self.room) {
            Ok(0) => {
                self.rest.push(b'\n');
                self.write();
                false
            }
            Ok(length) => {
                self.rest.extend_from_slice(self.room.get(..length).unwrap_or_default());
                self.write();
                true
            }
            Err(error) => {
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
            }
        }
    }

    /// Passes on all that is left, when the process has ended.
    pub(crate) fn finish(&mut self) {
        // As much as a pipe holds, however large somebody has made it.
        for _ in 0..64 {
            if !self.pass_on() {
                return;
            }
        }
    }

    /// Whole lines go out; the rest waits for its end.
    fn write(&mut self) {
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = if end == 0 && self.rest.len() > LONGEST { self.rest.len() } else { end };
        let rest = self.rest.split_off(end);
        let lines = std::mem::replace(&mut self.rest, rest);
        if lines != b"\n" {
            log::pass_on(&lines);
        }
    }
}
