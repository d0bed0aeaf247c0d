//! One thread, one source of datagrams, one link to the privileged process: takes each datagram all the way.
//!
//! The cheap part is done at once, for all that has arrived: datagrams of unauthenticated senders are dropped. What
//! costs a public-key operation waits in a queue that is fair to networks, and the socket is emptied before the next
//! knock is verified: a flood delays nobody else's knock.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, thread};

use sknock_protocol::{Answer, Datagram, KnockId, Timestamp, Unveiled};

use super::audit::Audit;
use super::gate_client::{ActiveGrant, GateClient, GateRefusal};
use super::intake::batch::{Endpoints, Received, SIZE};
use super::intake::fair::FairQueue;
use super::intake::overload::Overload;
use super::intake::source::{KnockSource, Next, Poller};
use super::pipeline::Pipeline;
use super::replay::ReplayStore;
use crate::sys::log::buffered;

/// How many knocks wait at one time: more than a burst from thousands of clients, and a quarter of a
/// second's work. Takes 7 MB when it was full once.
const QUEUE_CAPACITY: usize = 4096;

/// How many batches are received before the next knock is verified: a flood must delay neither.
const MAX_BATCHES_PER_TURN: usize = 8;

/// How many knocks are verified before the gate is asked for all of them: several grants in one transaction cost little
/// more than one, and no knock waits more than a millisecond for the others.
const VERIFY_BATCH: usize = 8;

/// After nothing but junk, and no more of it at the moment: to wake for each datagram costs more than to
/// look at it. A knock right behind junk waits so long, others do not.
const JUNK_BACKOFF: Duration = Duration::from_millis(4);

/// Receives from `source` until `stop` becomes readable, or the gate or the socket fails; marks each turn in `liveness`.
///
/// Datagrams that wait in the socket then stay there for the next process; those that were received are processed.
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
            // A full batch: the socket may have been full.
            worker.crowd.lose(source.lost());
        }
        worker.crowd.tell(worker.clock);
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

/// Takes a datagram all the way.
#[derive(Debug)]
pub struct Worker<'a, R> {
    /// Decides about knocks.
    pub pipeline: &'a Pipeline<R>,
    /// Makes grants.
    pub gate: GateClient,
    /// Logs the outcome.
    pub audit: Audit,
    /// Counts what is dropped, for all workers.
    pub crowd: &'a Overload,
    /// What time it is.
    pub clock: fn() -> Timestamp,
}

/// A knock that waits to be verified.
struct QueuedKnock {
    unveiled: Unveiled,
    ends: Endpoints,
    received: Timestamp,
}

impl<R: ReplayStore> Worker<'_, R> {
    /// The first, cheap part of the way.
    fn triage(&mut self, received: Received<'_>, queue: &mut FairQueue<QueuedKnock>) {
        let Received { ends, payload } = received;
        let now = (self.clock)();
        let datagram = Datagram::new(ends.source, payload);
        match self.pipeline.receive(datagram, now) {
            Ok(unveiled) => {
                let waiting = QueuedKnock { unveiled, ends, received: now };
                if queue.push(ends.source.ip(), waiting).is_some() {
                    self.crowd.turn_away();
                }
            }
            Err(refused) => self.audit.refused(&refused, datagram.source(), now),
        }
    }

    /// The rest of the way, for a few at once. Only the loss of the gate is an error.
    fn process_batch(&mut self, source: &KnockSource, waiting: Vec<QueuedKnock>) -> io::Result<()> {
        let (mut grants, mut asking) = (Vec::new(), Vec::new());
        let ends_of = |asking: &[(KnockId, Endpoints)], id| {
            asking.iter().find(|(asked, _)| *asked == id).map(|(_, ends)| *ends)
        };
        for QueuedKnock { unveiled, ends, received } in waiting {
            let source = unveiled.source();
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

    /// Tells the client, if it wants to know. A lost answer costs it one retry, so an error is told and
    /// changes nothing.
    fn answer(&mut self, opened: &ActiveGrant, source: &KnockSource, ends: Endpoints) {
        let grant = opened.grant();
        if let Some(key) = grant.answer_key() {
            let bytes = key.seal(&Answer {
                clipped: opened.clipped(),
                seconds: opened.seconds(),
                server_time: (self.clock)(),
                observed: grant.source(),
            });
            if let Err(error) = source.answer(&bytes, ends) {
                self.audit.unanswered(grant, ends.destination, &error, (self.clock)());
            }
        }
    }
}

/// Nothing there after all, an ICMP error for an answer of ours, an interface that comes and goes.
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
            | Kind::PermissionDenied
            | Kind::OutOfMemory
    )
}

/// A mark that a worker sets in every turn. The heartbeat clears it, then waits until it is set.
#[derive(Debug, Default)]
pub struct Liveness(AtomicBool);

impl Liveness {
    /// Another turn has begun.
    pub(crate) fn beat(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Only turns from here on count.
    pub(crate) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether a turn has begun since it was forgotten.
    pub(crate) fn has_beaten(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
