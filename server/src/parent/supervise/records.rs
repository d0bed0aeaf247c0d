//! Answers what the network processes ask of the gate: one record, one answer, always.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use sknock_gate::{Answer, Gate, Happened, Request, Uptime};
use tracing::{error, info, warn};

use super::Supervisor;
use crate::config::Settings;
use crate::log::Rate;
use crate::parent::network::Network;
use crate::parent::plan;

/// How many records are served in one round: enough to spread the cost of a transaction over a
/// crowd, little enough that a single knock does not wait for long.
const CROWD: usize = 64;

impl Supervisor {
    /// Serves what waits, one record from each link in turn, so that none keeps the others waiting.
    pub(super) fn serve(&mut self, now: Uptime) {
        if let Some(Network { links, .. }) = &mut self.current {
            let records = gather(links);
            // It is up. To build the table again and again would only cost time.
            let (raises, others): (Vec<_>, Vec<_>) =
                records.into_iter().partition(Record::is_raise);
            reply(links, &raises, |raises| vec![Answer::Failed; raises.len()]);
            reply(links, &others, |others| self.clerk.handle(others, now));
        }
        let mut is_up = false;
        if let Some(next) = &mut self.next {
            let begun = next.has_begun();
            let Network { links, settings, .. } = next;
            let records = gather(links);
            let (raises, others): (Vec<_>, Vec<_>) =
                records.into_iter().partition(Record::is_raise);
            reply(links, &raises, |raises| {
                let answer = if begun {
                    self.clerk.raise(settings, self.protected, now)
                } else {
                    // Somebody else is at work, or nobody has the state directory.
                    Answer::Failed
                };
                is_up = answer == Answer::Raised;
                vec![answer; raises.len()]
            });
            reply(links, &others, |others| self.clerk.handle(others, now));
        }
        if is_up {
            self.promote();
            self.look_back(now);
        }
    }

    /// The next network process is the current one from here on.
    fn promote(&mut self) {
        if let Some(next) = self.next.take() {
            self.settings = next.settings.clone();
            self.world.settle(&self.settings);
            self.current = Some(next);
        }
        self.protected = true;
        self.again = super::Again::default();
        self.notify.ready("protecting; knocks are judged");
        info!(status = %plan::summary(&self.settings), "protecting");
    }
}

/// Takes records to the gate, and tells the log what came of each.
#[derive(Debug)]
pub(crate) struct Clerk {
    pub(super) gate: Gate,
    refusals: Rate,
}

impl Clerk {
    /// Serves at `gate`.
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate, refusals: Rate::default() }
    }

    fn handle(&mut self, records: &[Record], now: Uptime) -> Vec<Answer> {
        let records: Vec<&[u8]> = records.iter().map(Record::bytes).collect();
        let happened = self.gate.handle_all(&records, now);
        happened.iter().map(|one| self.tell(one, now)).collect()
    }

    /// Puts up the protection that `settings` ask for, in one transaction.
    fn raise(&mut self, settings: &Settings, up: bool, now: Uptime) -> Answer {
        let changed = self.gate.reconfigure(plan::rules(settings), plan::ceiling(settings), now);
        let happened = if up { changed } else { self.gate.raise(now) };
        self.tell(&happened, now)
    }

    /// Every opening is told here too, whatever the network process says of it.
    fn tell(&mut self, happened: &Happened, now: Uptime) -> Answer {
        match happened {
            // Whole revocation lists are closed entry by entry; most never had a grant.
            Happened::Closed { count: 0, .. } => {}
            Happened::Failed(_) => error!(target: "gate", "{happened}"),
            // A captured network process may ask as often as it likes, but not fill the disk.
            Happened::Refused { .. } | Happened::NoCapacity(_) => {
                if let Some(untold) = self.refusals.leave(now.since(Uptime::default()).as_secs()) {
                    warn!(target: "gate", untold, "{happened}");
                }
            }
            _ => info!(target: "gate", "{happened}"),
        }
        happened.answer()
    }
}

/// Bytes from a network process, and by which of its links they came.
struct Record {
    link: usize,
    length: usize,
    /// One byte more than a request, so that a longer record is not taken for one.
    bytes: [u8; Request::LEN + 1],
}

impl Record {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn is_raise(&self) -> bool {
        Request::decode(self.bytes()) == Some(Request::Raise)
    }
}

/// Takes records from the links in turn, until none has any more or there are enough.
fn gather(links: &mut [Option<OwnedFd>]) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let before = records.len();
        for (place, slot) in links.iter_mut().enumerate() {
            let Some(link) = slot else { continue };
            let mut record = Record { link: place, length: 0, bytes: [0; Request::LEN + 1] };
            match recv(link.as_raw_fd(), &mut record.bytes, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Ok(0) | Err(_) => *slot = None,
                Ok(length) => {
                    record.length = length;
                    records.push(record);
                }
            }
        }
        if records.len() == before || records.len() >= CROWD {
            return records;
        }
    }
}

/// Sends every record its answer.
fn reply(
    links: &mut [Option<OwnedFd>],
    records: &[Record],
    answers: impl FnOnce(&[Record]) -> Vec<Answer>,
) {
    if records.is_empty() {
        return;
    }
    for (record, answer) in records.iter().zip(answers(records)) {
        let Some(slot) = links.get_mut(record.link) else { continue };
        let Some(link) = slot else { continue };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        // Who does not read its answers is no network process of ours any more, and must not hold
        // us up.
        if send(link.as_raw_fd(), &answer.encode(), flags).is_err() {
            *slot = None;
        }
    }
}
