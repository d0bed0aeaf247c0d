//! One connection to the control socket: a line, its answer, the next line.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, send};
use sknock_gate::BootInstant;

use super::Asker;
use crate::control::lines::{Lines, MAX_LINE, NextLine};
use crate::control::messages::{ControlRequest, ControlResponse, Mistake};
use crate::control::peer::Peer;
use crate::control::requester::Requester;

/// How long a line may take to come, and an answer to be read.
const PEER_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read in one round, in bytes.
const MAX_READ: usize = 16 * 1024;

/// A peer and what it is about.
#[derive(Debug)]
pub(super) struct ControlConnection {
    stream: UnixStream,
    peer: Peer,
    asker: Asker,
    lines: Lines,
    stage: ConnectionStage,
    /// Since when.
    since: BootInstant,
    /// Whether nothing more is read: it has sent all, or what ends the connection.
    last: bool,
}

/// Only the first reads. One request at a time.
#[derive(Debug)]
enum ConnectionStage {
    Reading,
    /// It has asked, and is answered in this round.
    Asked,
    /// The answer is not known yet.
    Waiting,
    /// What is left of an answer.
    Answering(Vec<u8>),
    Over,
}

impl ControlConnection {
    pub(super) fn new(stream: UnixStream, peer: Peer, now: BootInstant) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        stream.set_nonblocking(true)?;
        let asker = Asker { number: NEXT.fetch_add(1, Ordering::Relaxed), by: peer.requester() };
        Ok(Self {
            stream,
            peer,
            asker,
            lines: Lines::default(),
            stage: ConnectionStage::Reading,
            since: now,
            last: false,
        })
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn asker(&self) -> Asker {
        self.asker
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, ConnectionStage::Waiting)
    }

    /// What to wake up for. While it waits for an answer, nothing: one that has gone would keep us awake.
    pub(super) fn polled(&self) -> Option<PollFd<'_>> {
        let events = match self.stage {
            ConnectionStage::Reading => PollFlags::POLLIN,
            ConnectionStage::Answering(_) => PollFlags::POLLOUT,
            ConnectionStage::Asked | ConnectionStage::Waiting | ConnectionStage::Over => {
                return None;
            }
        };
        Some(PollFd::new(self.stream.as_fd(), events))
    }

    /// Whether there is something to do for which nothing wakes us up.
    pub(super) fn is_due(&self) -> bool {
        matches!(self.stage, ConnectionStage::Reading) && self.lines.is_due()
    }

    /// Whether nothing more comes of it.
    pub(super) fn is_over(&self, now: BootInstant) -> bool {
        match self.stage {
            ConnectionStage::Over => true,
            // No time limit while it waits for us: a reload may take minutes (`RELOAD_TIMEOUT`).
            ConnectionStage::Asked | ConnectionStage::Waiting => false,
            ConnectionStage::Reading if self.last && !self.lines.is_due() => true,
            ConnectionStage::Reading | ConnectionStage::Answering(_) => {
                now.since(self.since) > PEER_TIMEOUT
            }
        }
    }

    /// Reads what is there, or sends what is left.
    pub(super) fn proceed(&mut self, now: BootInstant) {
        match self.stage {
            ConnectionStage::Reading if !self.last => self.read(),
            ConnectionStage::Answering(_) => self.send(now),
            _ => {}
        }
    }

    fn read(&mut self) {
        let mut bytes = [0; MAX_READ];
        let size = self.lines.room().min(MAX_READ);
        if size == 0 {
            return;
        }
        match receive(&self.stream, bytes.get_mut(..size).unwrap_or_default()) {
            Ok((0, _)) => self.last = true,
            // Another process writes over this connection: it was passed on, or stolen.
            Ok((_, sender)) if sender != Some(self.peer.requester()) => {
                let mistake = ControlResponse::Mistake(Mistake::NotAllowed);
                self.last = true;
                self.lines = Lines::default();
                self.answer(mistake, self.since);
            }
            Ok((length, _)) => self.lines.push(bytes.get(..length).unwrap_or_default()),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.stage = ConnectionStage::Over,
        }
    }

    /// The next request. What is none is answered here.
    pub(super) fn next(&mut self, now: BootInstant) -> Option<ControlRequest> {
        if !matches!(self.stage, ConnectionStage::Reading) {
            return None;
        }
        let read = match self.lines.next_line() {
            NextLine::Nothing => return None,
            NextLine::Line(line) => ControlRequest::read(&line),
            NextLine::TooLong => {
                self.last = true;
                self.lines = Lines::default();
                Err(Mistake::TooLong { limit: MAX_LINE })
            }
        };
        self.stage = ConnectionStage::Asked;
        read.map_err(|mistake| self.answer(ControlResponse::Mistake(mistake), now)).ok()
    }

    /// The answer comes in a later round.
    pub(super) fn defer(&mut self) {
        self.stage = ConnectionStage::Waiting;
    }

    /// Answers, as far as the peer has room for it; the rest later.
    pub(super) fn answer(&mut self, response: ControlResponse, now: BootInstant) {
        let Ok(line) = response.line() else { return self.stage = ConnectionStage::Over };
        self.stage = ConnectionStage::Answering(line);
        self.since = now;
        self.send(now);
    }

    fn send(&mut self, now: BootInstant) {
        let ConnectionStage::Answering(left) = &mut self.stage else { return };
        loop {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.stream.as_raw_fd(), left, flags) {
                Ok(sent) if sent < left.len() => drop(left.drain(..sent)),
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.stage = ConnectionStage::Over,
            }
        }
        self.stage = ConnectionStage::Reading;
        self.since = now;
    }
}

/// Takes what is there, all of it from one process: that one.
fn receive(stream: &UnixStream, into: &mut [u8]) -> nix::Result<(usize, Option<Requester>)> {
    // Descriptors that are sent along find no room, and the kernel closes them.
    let mut room = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(into)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    // With SO_PASSCRED the kernel joins no bytes of different senders in one call (unix_stream_read_generic),
    // so these credentials are those of all bytes.
    let got = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
    let sender = got.cmsgs().ok().into_iter().flatten().find_map(|message| match message {
        ControlMessageOwned::ScmCredentials(sender) => {
            Some(Requester { uid: sender.uid(), pid: sender.pid() })
        }
        _ => None,
    });
    Ok((got.bytes, sender))
}
