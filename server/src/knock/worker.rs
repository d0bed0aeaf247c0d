//! One thread with one source of datagrams and one link to the privileged process: processes each datagram
//! completely.
//!
//! The cheap part is done at once, for all arrived datagrams: those of unauthenticated senders are dropped.
//! Knocks that need a public-key operation wait in a queue that is fair to networks, and the socket is
//! emptied before the next knock is verified: a flood does not delay other networks' knocks.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, thread};

use sknock_protocol::{Answer, Datagram, KnockId, Timestamp, Unveiled};

use super::audit::Audit;
use super::gate_client::{ActiveGrant, GateClient, GateRefusal};
use super::intake::batch::{Endpoints, Received, SIZE};
use super::intake::fair::FairQueue;
use super::intake::fair::Overload;
use super::intake::source::{KnockSource, Next, Poller};
use super::pipeline::Pipeline;
use super::replay::ReplayStore;
use crate::sys::log::buffered;

/// Capacity of the queue: more than a burst from thousands of clients, and a quarter of a second's work. Uses
/// 7 MB after it was full once.
const QUEUE_CAPACITY: usize = 4096;

/// Batches received before the next knock is verified: a flood must delay neither.
const MAX_BATCHES_PER_TURN: usize = 8;

/// Knocks verified before one request to the gate: several grants in one transaction cost little more than
/// one, and no knock waits more than a millisecond for the others.
const VERIFY_BATCH: usize = 8;

/// The wait after a batch of junk only, when the socket is empty: waking up for each datagram costs more than
/// checking it. Only a knock directly after junk waits for it.
const JUNK_BACKOFF: Duration = Duration::from_millis(4);

/// Receives from `source` until `stop` becomes readable, or the gate or the socket fails; marks each turn in
/// `liveness`.
///
/// Datagrams in the socket then remain for the next process; received ones are processed.
pub fn work<R: ReplayStore>(
    source: &KnockSource,
    mut worker: Worker<'_, R>,
    liveness: &Liveness,
    stop: BorrowedFd<'_>,
) -> io::Result<()> {
    let wait = Poller::new(source, stop)?;
    let mut batch = source.batch();
    let mut queue = FairQueue::new(QUEUE_CAPACITY);
    while wait.next(queue.is_empty())? == Next::Look {
        liveness.beat();
        let (mut last, mut saturated) = (0, false);
        for _ in 0..MAX_BATCHES_PER_TURN {
            let received =
                source.receive(&mut batch, |received| worker.triage(received, &mut queue));
            last = match received {
                Ok(count) => count,
                Err(error) if is_transient(&error) => break,
                Err(error) => return Err(error),
            };
            saturated |= last == SIZE;
            if last < SIZE {
                break;
            }
        }
        if saturated {
            // A full batch: the socket may have overflowed.
            worker.overload.count_lost(source.lost());
        }
        worker.overload.log(worker.clock);
        if queue.is_empty() && (1..SIZE).contains(&last) {
            thread::sleep(JUNK_BACKOFF);
        }
        buffered(|| worker.process_batch(source, next_batch(&mut queue)))?;
    }
    while !queue.is_empty() {
        buffered(|| worker.process_batch(source, next_batch(&mut queue)))?;
    }
    Ok(())
}

fn next_batch(queue: &mut FairQueue<QueuedKnock>) -> Vec<QueuedKnock> {
    std::iter::from_fn(|| queue.pop()).take(VERIFY_BATCH).collect()
}

/// Processes datagrams completely.
#[derive(Debug)]
pub struct Worker<'a, R> {
    /// Decides about knocks.
    pub pipeline: &'a Pipeline<R>,
    /// Makes grants.
    pub gate: GateClient,
    /// Logs the outcome.
    pub audit: Audit,
    /// Counts dropped datagrams, for all workers.
    pub overload: &'a Overload,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// A knock that waits for verification.
struct QueuedKnock {
    unveiled: Unveiled,
    ends: Endpoints,
    received: Timestamp,
}

impl<R: ReplayStore> Worker<'_, R> {
    /// The first, cheap part.
    fn triage(&mut self, received: Received<'_>, queue: &mut FairQueue<QueuedKnock>) {
        let Received { ends, payload } = received;
        let now = (self.clock)();
        let datagram = Datagram::new(ends.source, payload);
        match self.pipeline.unveil(datagram, now) {
            Ok(unveiled) => {
                let waiting = QueuedKnock { unveiled, ends, received: now };
                if queue.push(ends.source.ip(), waiting).is_some() {
                    self.overload.count_dropped();
                }
            }
            Err(refused) => self.audit.refused(&refused, datagram.source(), now),
        }
    }

    /// The remaining part, for several knocks at once. Only the loss of the gate is an error.
    fn process_batch(&mut self, source: &KnockSource, waiting: Vec<QueuedKnock>) -> io::Result<()> {
        let (mut grants, mut asking) = (Vec::new(), Vec::new());
        let ends_of = |asking: &[(KnockId, Endpoints)], id| {
            asking.iter().find(|(asked, _)| *asked == id).map(|(_, ends)| *ends)
        };
        for QueuedKnock { unveiled, ends, received } in waiting {
            let source = unveiled.source();
            // By the time of arrival: the wait in the queue makes no knock too old.
            match self.pipeline.decide(unveiled, received) {
                Ok(grant) => {
                    asking.push((grant.id(), ends));
                    grants.push((grant, received));
                }
                Err(refused) => self.audit.refused(&refused, source, received),
            }
        }
        let (outcomes, late) = self.pipeline.open(grants, |grants| self.gate.open(grants));
        let outcomes = outcomes?;
        // Before the log lines: to format and write them took as long as to make the grants.
        for opened in outcomes.iter().flatten() {
            if let Some(ends) = ends_of(&asking, opened.grant().id()) {
                self.answer(opened, source, ends);
            }
        }
        for (grant, refused) in &late {
            self.audit.refused(refused, grant.source(), (self.clock)());
        }
        for outcome in &outcomes {
            match outcome {
                Ok(opened) => self.audit.granted(opened),
                Err(GateRefusal { grant, answer }) => {
                    self.audit.not_opened(grant, *answer, (self.clock)());
                }
            }
        }
        Ok(())
    }

    /// Answers the client, if it requested an answer. A lost answer costs one retry, so an error is only
    /// logged.
    fn answer(&mut self, opened: &ActiveGrant, source: &KnockSource, ends: Endpoints) {
        let grant = opened.grant();
        if let Some(key) = grant.answer_key() {
            let bytes = key.seal(&Answer {
                clipped: opened.clipped(),
                seconds: opened.seconds(),
                server_time: (self.clock)(),
                observed: grant.source(),
            });
            let bytes = bytes.ok_or_else(|| io::Error::other("no random bytes for its nonce"));
            if let Err(error) = bytes.and_then(|bytes| source.answer(&bytes, ends)) {
                self.audit.unanswered(grant, ends.destination, &error, (self.clock)());
            }
        }
    }
}

/// No datagram after all, an ICMP error for an answer, or an interface that changes.
fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::WouldBlock
            | Kind::Interrupted
            | Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            // EACCES: ICMPv6 "administratively prohibited" (icmpv6_err_convert).
            | Kind::PermissionDenied
            | Kind::OutOfMemory
    )
}

/// A mark that a worker sets in every turn. The heartbeat clears it, then waits until it is set again.
#[derive(Debug, Default)]
pub struct Liveness(AtomicBool);

impl Liveness {
    /// Marks a turn.
    pub(crate) fn beat(&self) {
        // Relaxed: the mark guards no other data.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Clears the mark.
    pub(crate) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether a turn has begun since it was cleared.
    pub(crate) fn has_beaten(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
