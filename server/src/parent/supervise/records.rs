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

impl Supervisor {
    /// Answers one record from every link, so that none can keep the others waiting.
    pub(super) fn serve(&mut self, now: Uptime) {
        let clerk = &mut self.clerk;
        if let Some(current) = &mut self.current {
            current.links.retain(|link| {
                answer(link, |record| match Request::decode(record) {
                    // It is up. To build the table again and again would only cost time.
                    Some(Request::Raise) => Answer::Failed,
                    _ => clerk.handle(record, now),
                })
            });
        }
        let mut raised = false;
        if let Some(Network { links, settings, .. }) = &mut self.next {
            links.retain(|link| {
                answer(link, |record| {
                    if Request::decode(record) != Some(Request::Raise) {
                        return clerk.handle(record, now);
                    }
                    let reply = clerk.raise(settings, self.protected, record, now);
                    raised |= reply == Answer::Raised;
                    reply
                })
            });
        }
        if raised {
            self.promote();
        }
    }

    /// The next network process is the current one from here on.
    fn promote(&mut self) {
        if let Some(next) = self.next.take() {
            self.settings = next.settings.clone();
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

    fn handle(&mut self, record: &[u8], now: Uptime) -> Answer {
        let happened = self.gate.handle(record, now);
        self.tell(&happened, now)
    }

    /// Puts up the protection that `settings` ask for, in one transaction.
    fn raise(&mut self, settings: &Settings, up: bool, record: &[u8], now: Uptime) -> Answer {
        let changed = self.gate.reconfigure(plan::rules(settings), plan::ceiling(settings), now);
        let happened = if up { changed } else { self.gate.handle(record, now) };
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

/// Answers one record, if one is there. Says whether the link is still good for anything.
fn answer(link: &OwnedFd, reply: impl FnOnce(&[u8]) -> Answer) -> bool {
    // One byte more than a record, so that a longer one is not taken for one.
    let mut record = [0; Request::LEN + 1];
    let length = match recv(link.as_raw_fd(), &mut record, MsgFlags::MSG_DONTWAIT) {
        Err(Errno::EAGAIN | Errno::EINTR) => return true,
        Ok(0) | Err(_) => return false,
        Ok(length) => length,
    };
    let reply = reply(&record[..length]).encode();
    // Who does not read its answers is no network process of ours any more, and must not hold us up.
    send(link.as_raw_fd(), &reply, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).is_ok()
}
