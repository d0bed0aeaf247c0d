//! One thread, one ear, one link to the gate: takes each datagram from its entry to its effect.
//!
//! What costs next to nothing is done at once, for all that has arrived: strangers are sorted out.
//! What costs a public-key operation waits its turn, so that nobody's junk holds up anyone else's
//! knock, and the socket is empty again before the next one is judged.

use std::io;
use std::os::fd::BorrowedFd;
use std::thread;
use std::time::Duration;

use sknock_protocol::{Answer, Datagram, KnockId, Moment, Unveiled};

use super::batch::SIZE;
use super::fair::FairQueue;
use super::wait::{Next, Wait};
use super::{Crowd, Ear, Ends, Pulse, Received};
use crate::audit::Audit;
use crate::gate::{Denied, Gate, Opened};
use crate::log::together;
use crate::pipeline::Pipeline;
use crate::replay::ReplayStore;

/// How many knocks wait at one time: more than a burst from thousands of clients, and a quarter of a
/// second's work. Takes 7 MB when it was full once.
const WAITING: usize = 4096;

/// How many batches are sorted before the next knock is judged: a flood must not hold up either.
const BATCHES: usize = 8;

/// How many knocks are judged before the gate is asked for all of them: it opens a few for little
/// more than the price of one, and none waits for more than a millisecond of its neighbours' work.
const TOGETHER: usize = 8;

/// After nothing but junk, and no more of it at the moment: to wake for each datagram costs more than to
/// look at it. A knock right behind junk waits so long, others do not.
const REST: Duration = Duration::from_millis(4);

/// Receives from `ear` until `stop` becomes readable, or the gate or the socket fails; `pulse` beats.
///
/// Datagrams that wait in the socket then stay there for whoever holds it next; what has left it is
/// taken to its end.
pub fn work<R: ReplayStore>(
    ear: &Ear,
    mut porter: Porter<'_, R>,
    pulse: &Pulse,
    stop: BorrowedFd<'_>,
) -> io::Result<()> {
    let wait = Wait::new(ear, stop)?;
    let mut batch = ear.batch();
    let mut queue = FairQueue::new(WAITING);
    while wait.next(queue.is_empty())? == Next::Look {
        pulse.beat();
        let (mut last, mut is_dense) = (0, false);
        for _ in 0..BATCHES {
            let received = ear.receive(&mut batch, |received| porter.sort(received, &mut queue));
            last = match received {
                Ok(count) => count,
                Err(error) if is_passing(&error) => break,
                Err(error) => return Err(error),
            };
            is_dense |= last == SIZE;
            if last < SIZE {
                break;
            }
        }
        if is_dense {
            // A full batch: the socket may have been full.
            porter.crowd.lose(ear.lost());
        }
        porter.crowd.tell(porter.clock);
        if queue.is_empty() && (1..SIZE).contains(&last) {
            thread::sleep(REST);
        }
        together(|| porter.carry(ear, few(&mut queue)))?;
    }
    while !queue.is_empty() {
        together(|| porter.carry(ear, few(&mut queue)))?;
    }
    Ok(())
}

fn few(queue: &mut FairQueue<Waiting>) -> Vec<Waiting> {
    std::iter::from_fn(|| queue.pop()).take(TOGETHER).collect()
}

/// Takes a datagram all the way.
#[derive(Debug)]
pub struct Porter<'a, R> {
    /// Who decides.
    pub pipeline: &'a Pipeline<R>,
    /// Who opens doors.
    pub gate: Gate,
    /// What is told about it.
    pub audit: Audit,
    /// What becomes of too many at once, for all workers.
    pub crowd: &'a Crowd,
    /// What time it is.
    pub clock: fn() -> Moment,
}

/// A knock that waits to be judged.
struct Waiting {
    unveiled: Unveiled,
    ends: Ends,
    received: Moment,
}

impl<R: ReplayStore> Porter<'_, R> {
    /// The first, cheap part of the way.
    fn sort(&mut self, received: Received<'_>, queue: &mut FairQueue<Waiting>) {
        let Received { ends, payload } = received;
        let now = (self.clock)();
        let datagram = Datagram::new(ends.source, payload);
        match self.pipeline.unveil(datagram, now) {
            Ok(unveiled) => {
                let waiting = Waiting { unveiled, ends, received: now };
                if queue.push(ends.source.ip(), waiting).is_some() {
                    self.crowd.turn_away();
                }
            }
            Err(refused) => self.audit.refused(&refused, datagram.source(), now),
        }
    }

    /// The rest of the way, for a few at once. Only the loss of the gate is an error.
    fn carry(&mut self, ear: &Ear, waiting: Vec<Waiting>) -> io::Result<()> {
        let (mut grants, mut asking) = (Vec::new(), Vec::new());
        let ends_of = |asking: &[(KnockId, Ends)], id| {
            asking.iter().find(|(asked, _)| *asked == id).map(|(_, ends)| *ends)
        };
        for Waiting { unveiled, ends, received } in waiting {
            let source = unveiled.source();
            match self.pipeline.judge(unveiled, received) {
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
                self.answer(opened, ear, ends);
            }
        }
        for (grant, refused) in &late {
            self.audit.refused(refused, grant.source(), (self.clock)());
        }
        for outcome in &outcomes {
            match outcome {
                Ok(opened) => self.audit.granted(opened),
                Err(Denied { grant, answer }) => {
                    self.audit.not_opened(grant, *answer, (self.clock)());
                }
            }
        }
        Ok(())
    }

    /// Tells the client, if it wants to know. A lost answer costs it one retry, so an error is told and
    /// changes nothing.
    fn answer(&mut self, opened: &Opened, ear: &Ear, ends: Ends) {
        let grant = opened.grant();
        if let Some(key) = grant.answer_key() {
            let bytes = key.seal(&Answer {
                clipped: opened.clipped(),
                seconds: opened.seconds(),
                server_time: (self.clock)(),
                observed: grant.source(),
            });
            if let Err(error) = ear.answer(&bytes, ends) {
                self.audit.unanswered(grant, ends.destination, &error, (self.clock)());
            }
        }
    }
}

/// Nothing there after all, an ICMP error for an answer of ours, an interface that comes and goes.
fn is_passing(error: &io::Error) -> bool {
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
