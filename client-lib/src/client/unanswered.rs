//! Knocks that have no answer yet. An answer may be late: then it is to an earlier attempt, with another key, and
//! goes to the socket of that attempt. Each attempt has a socket of its own: another source port may take
//! another path.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use sknock_protocol::{ANSWER_LENGTH, Answer, AnswerKey, Timestamp};

use crate::clock::Timer;

/// ICMP errors that are ignored while waiting; after more, waiting is pointless. Any host can send a few ICMP
/// messages, and a server with the `reject` policy does.
const MOST_ERRORS: u32 = 64;

/// How often the sockets of earlier attempts are read. The standard library can wait for one socket only.
const LOOK: Duration = Duration::from_millis(50);

/// Datagrams that are read from each of them at a time.
const MOST_DATAGRAMS: u32 = 64;

/// The unanswered knocks, in the order of sending.
#[derive(Debug, Default)]
pub(crate) struct Unanswered(Vec<UnansweredKnock>);

/// A knock that was sent.
#[derive(Debug)]
pub(super) struct UnansweredKnock {
    pub(super) destination: SocketAddr,
    /// Connected to `destination`.
    pub(super) socket: UdpSocket,
    pub(super) key: AnswerKey,
    /// By the wall clock.
    pub(super) sent: Timestamp,
    /// Runs since then.
    pub(super) since: Timer,
}

/// An answer, when its knock was sent, and how long it took.
pub(super) type Answered = (Answer, Timestamp, Duration);

impl Unanswered {
    /// Adds the latest knock.
    pub(super) fn push(&mut self, knock: UnansweredKnock) -> io::Result<()> {
        for earlier in &self.0 {
            // These are only looked at; the wait is for the latest one.
            earlier.socket.set_nonblocking(true)?;
        }
        self.0.push(knock);
        Ok(())
    }

    /// The first answer to the latest knock, or to an earlier one for the same destination, until the timer ends.
    /// All else is ignored: other datagrams are noise or forged, and socket errors come from ICMP messages. A signal
    /// that the program handles is no error.
    pub(super) fn wait(&mut self, timer: &Timer) -> Option<Answered> {
        let destination = self.0.last()?.destination;
        let is_first = self.earlier(destination).next().is_none();
        // Without earlier attempts there is nothing else to look at in between.
        let span = if is_first { Duration::MAX } else { LOOK };
        let mut errors = 0;
        while !timer.is_over() && errors < MOST_ERRORS {
            let latest = self.0.last()?;
            let found = match latest.receive(timer.left().min(span)) {
                Ok(answer) => answer.map(|answer| (self.0.len() - 1, answer)),
                Err(error) => {
                    errors += u32::from(!is_no_error(&error));
                    None
                }
            };
            if let Some((place, answer)) = found.or_else(|| self.late_answer(destination)) {
                let knock = self.0.remove(place);
                return Some((answer, knock.sent, knock.since.elapsed()));
            }
        }
        None
    }

    /// An answer to any knock that has come by now, and the destination of the knock.
    pub(super) fn arrived(&mut self) -> Option<(SocketAddr, Answered)> {
        self.0.last()?.socket.set_nonblocking(true).ok()?;
        let (place, answer) = read_all(self.0.iter().enumerate())?;
        let knock = self.0.remove(place);
        Some((knock.destination, (answer, knock.sent, knock.since.elapsed())))
    }

    /// The place of an earlier knock, and its answer.
    fn late_answer(&self, destination: SocketAddr) -> Option<(usize, Answer)> {
        read_all(self.earlier(destination))
    }

    /// All knocks for this destination but the latest, with their places.
    fn earlier(&self, destination: SocketAddr) -> impl Iterator<Item = (usize, &UnansweredKnock)> {
        let earlier = self.0.split_last().map_or(&[][..], |(_, earlier)| earlier);
        earlier.iter().enumerate().filter(move |(_, knock)| knock.destination == destination)
    }
}

/// The first answer on these sockets, which do not block.
fn read_all<'a>(
    knocks: impl Iterator<Item = (usize, &'a UnansweredKnock)>,
) -> Option<(usize, Answer)> {
    for (place, knock) in knocks {
        for _ in 0..MOST_DATAGRAMS {
            match knock.receive(LOOK) {
                Ok(Some(answer)) => return Some((place, answer)),
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }
    None
}

impl UnansweredKnock {
    /// The next datagram, if it is the answer. Waits for it if the socket blocks.
    fn receive(&self, span: Duration) -> io::Result<Option<Answer>> {
        // std refuses a timeout of zero
        self.socket.set_read_timeout(Some(span.max(Duration::from_millis(1))))?;
        // One byte more, so that a longer datagram is not truncated to the right length.
        let mut bytes = [0; ANSWER_LENGTH + 1];
        let length = self.socket.recv(&mut bytes)?;
        Ok(bytes.get(..length).and_then(|bytes| self.key.open(bytes)))
    }
}

/// The wait has ended, or a signal was handled.
fn is_no_error(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
