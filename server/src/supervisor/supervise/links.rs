//! The links to a network process: records of fixed size arrive, and each gets an answer. A failed link is
//! closed.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use sknock_gate::{Request, Response};

use crate::crl::mark_record;

/// Maximum number of records in one round: enough to spread the cost of a transaction over many knocks, and
/// few enough that a single knock does not wait long.
const MAX_RECORDS: usize = 64;

/// Our end of a link; `None` after it failed.
pub(super) type Link = Option<OwnedFd>;

/// A record from a network process, and its link.
pub(super) struct LinkRecord {
    link: usize,
    /// Whether it asks for a grant.
    pub(super) is_open: bool,
    length: usize,
    /// One byte more than a request, so that a longer record is recognized.
    bytes: [u8; Request::LEN + 1],
}

impl LinkRecord {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn is_report(&self) -> bool {
        mark_record::is_report(self.bytes())
    }
}

/// Records by type: raising the rules, reports of marks, other requests.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) activations: Vec<LinkRecord>,
    pub(super) reports: Vec<LinkRecord>,
    pub(super) others: Vec<LinkRecord>,
}

/// Receives records from the links in turn, until all are empty or the limit is reached.
pub(super) fn receive_requests(links: &mut [Link]) -> Gathered {
    let mut all = Gathered::default();
    let mut count = 0;
    let mut full: Vec<usize> = (0..links.len()).collect();
    while !full.is_empty() && count < MAX_RECORDS {
        full.retain(|&place| {
            let Some(record) = take(links, place) else { return false };
            count += 1;
            match Request::decode(record.bytes()) {
                Some(Request::Activate) => all.activations.push(record),
                _ if record.is_report() => all.reports.push(record),
                Some(Request::Open(_)) => all.others.push(LinkRecord { is_open: true, ..record }),
                _ => all.others.push(record),
            }
            true
        });
    }
    all
}

/// The next record of one link; a failed link is closed.
fn take(links: &mut [Link], link: usize) -> Option<LinkRecord> {
    let slot = links.get_mut(link)?;
    let mut record = LinkRecord { link, is_open: false, length: 0, bytes: [0; Request::LEN + 1] };
    loop {
        match recv(slot.as_ref()?.as_raw_fd(), &mut record.bytes, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return None,
            // 0: the other end is closed (unix(7), SOCK_SEQPACKET); an empty record would look the same.
            Ok(0) | Err(_) => *slot = None,
            Ok(length) => return Some(LinkRecord { length, ..record }),
        }
    }
}

/// Sends each record's answer.
pub(super) fn reply(
    links: &mut [Link],
    records: &[LinkRecord],
    mut answer: impl FnMut(usize) -> Response,
) {
    for (place, record) in records.iter().enumerate() {
        let Some(slot) = links.get_mut(record.link) else { continue };
        let Some(link) = slot else { continue };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        // A process that does not read its answers is compromised, and must not block this one.
        if send(link.as_raw_fd(), &answer(place).encode(), flags).is_err() {
            *slot = None;
        }
    }
}
