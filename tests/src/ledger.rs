//! Records knocks during fault tests: which were admitted, that none is admitted twice, that no grant lasts
//! longer than permitted, and that unauthenticated senders get no access.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sknock_protocol::Timestamp;

use crate::reach::Found::Refused;
use crate::wait::{some, until};
use crate::{Authority, Client, Config, Daemon, Datagram, Sent, World};

/// A client that knocks for another port each time, and records every knock.
pub struct Ledger<'w> {
    world: &'w World,
    client: Client<'w>,
    seconds: u16,
    age: Duration,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// All knocks by the server's name for them.
    sent: BTreeMap<String, (IpAddr, Datagram)>,
    /// Those that have opened something.
    used: BTreeSet<String>,
    /// How many lines of the log are accounted for.
    read: usize,
}

/// Ports that knocks of a ledger ask for, in turn: each has an element of its own in the kernel.
const PORTS: std::ops::Range<usize> = 20_000..30_000;

/// How many datagrams are sent again before their refusals are awaited.
const AT_ONCE: usize = 16;

/// After this number of checks without a log line, half a second, a repetition is sent again.
const LOOKS: u32 = 25;

impl<'w> Ledger<'w> {
    /// Grants last this number of seconds. Makes the client `driver`.
    pub fn new(world: &'w World, authority: &'w Authority, seconds: u16) -> Self {
        authority.client("driver", &["tcp/22", "tcp/20000-29999"]);
        let client = Client::named("driver", &world.client, authority);
        let (age, books) = (Duration::ZERO, Mutex::default());
        Self { world, client, seconds, age, books }
    }

    /// With knocks that are so old already when they are sent.
    #[must_use]
    pub fn of_age(self, age: Duration) -> Self {
        Self { age, ..self }
    }

    /// A server with a timestamp window of ten minutes: later refusals are not because of age.
    pub fn config(authority: &Authority) -> Config {
        Config::new(authority)
            .set("protectedPorts", "tcp/22, tcp/20000-29999")
            .set("TIMESTAMP_THRESHOLD_IN_SECONDS", "600")
    }

    /// Sends a new knock.
    pub fn knock(&self) -> Sent {
        self.knock_aged(self.age)
    }

    /// Sends a new knock that is so old already.
    pub fn knock_aged(&self, age: Duration) -> Sent {
        self.knock_stamped(|now| now.before(age))
    }

    /// Sends a new knock with a clock that is ahead by this time.
    pub fn knock_ahead(&self, by: Duration) -> Sent {
        self.knock_stamped(|now| now.after(by))
    }

    fn knock_stamped(&self, stamp: impl FnOnce(Timestamp) -> Timestamp) -> Sent {
        let number = self.books().sent.len();
        let port = PORTS.start + number % PORTS.len();
        let datagram = self.client.seal_with(&[&format!("tcp/{port}")], |wish| {
            wish.lifetime = NonZeroU16::new(self.seconds);
            wish.stamp = stamp(wish.stamp);
        });
        let host = World::GATEWAY[number % 2];
        let sent = datagram.send(&self.world.client, host);
        self.books().sent.insert(datagram.id.clone(), (host, datagram));
        sent
    }

    /// How many knocks have been sent, and how many of them have opened something.
    pub fn counts(&self) -> (usize, usize) {
        let books = self.books();
        (books.sent.len(), books.used.len())
    }

    /// Records the grants in the privileged process's log. No knock may be logged twice.
    #[track_caller]
    pub fn read(&self, daemon: &Daemon<'_>) {
        let mut books = self.books();
        let lines = daemon.said_since(books.read);
        books.read += lines.len();
        for line in lines {
            assert!(!line.contains("log lines dropped"), "the books have a gap: {line}");
            if let Some(knock) = opened(&line) {
                let is_news = books.used.insert(knock.to_owned());
                assert!(is_news, "a knock has opened twice: {line}");
            }
        }
    }

    /// Also records the grants in the kernel. Only while no process runs: the latest grants may not be
    /// logged.
    #[track_caller]
    pub fn read_after_death(&self, daemon: &Daemon<'_>) {
        self.read(daemon);
        let doors = self.world.gateway.doors();
        self.books().used.extend(doors.into_iter().map(|door| door.knock));
    }

    /// Sends again all that are used up, and does not wait.
    pub fn send_again(&self) {
        let books = self.books();
        for (host, datagram) in books.used.iter().filter_map(|knock| books.sent.get(knock)) {
            datagram.send(&self.world.client, *host);
        }
    }

    /// Sends again the last `count` of the knocks that are used up: each must be refused.
    #[track_caller]
    pub fn repeat(&self, daemon: &Daemon<'_>, count: usize) {
        let books = self.books();
        let used: Vec<_> = books.used.iter().filter_map(|knock| books.sent.get(knock)).collect();
        let last = used.len().saturating_sub(count);
        for few in used[last..].chunks(AT_ONCE) {
            let mark = daemon.mark();
            let send = |(host, again): &&(IpAddr, Datagram)| again.send(&self.world.client, *host);
            let first: Vec<_> = few.iter().map(send).collect();
            for (first, again) in first.into_iter().zip(few) {
                let line = verdict(daemon, mark, first, &again.1.id, || send(again));
                assert!(line.contains("refused"), "a repetition: {line}");
            }
        }
        drop(books);
        self.read(daemon);
    }

    /// The invariants while the server runs: unauthenticated senders are refused, no grant lasts too long, no
    /// knock is admitted twice, and a new knock is granted.
    #[track_caller]
    pub fn must_hold(&self, daemon: &Daemon<'_>) {
        self.read(daemon);
        self.must_be_protected();
        self.repeat(daemon, 50);
        self.knock_aged(Duration::ZERO).must_be_granted();
        self.read(daemon);
    }

    /// What must hold even while no server runs.
    #[track_caller]
    pub fn must_be_protected(&self) {
        assert_eq!(self.world.tcp(22).stranger, [Refused; 2]);
        for door in self.world.gateway.doors() {
            let most = u64::from(self.seconds);
            assert!(door.left.is_some_and(|left| left <= most), "open for too long: {door:?}");
        }
    }

    /// At the end: all grants expire, and no admitted knock is granted again.
    #[track_caller]
    pub fn close(&self, daemon: &Daemon<'_>) {
        until("all doors close", || self.world.gateway.doors().is_empty());
        self.repeat(daemon, usize::MAX);
        assert_eq!(self.world.gateway.doors(), []);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log line about a datagram since `mark`. It is sent again from time to time, because some refusals are
/// rate-limited in the log.
#[track_caller]
fn verdict(
    daemon: &Daemon<'_>,
    mark: usize,
    first: Sent,
    knock: &str,
    again: impl Fn() -> Sent,
) -> String {
    let (mut sent, mut looks) = (vec![first], 0_u32);
    some("a verdict on a repetition", || {
        looks += 1;
        if looks.is_multiple_of(LOOKS) {
            sent.push(again());
        }
        let sources: Vec<_> = sent.iter().map(|sent| format!("source={}", sent.source())).collect();
        let of_it = |word: &str| sources.iter().any(|source| source == word);
        // The kernel gives a new knock's port to a later sender: a grant for another knock is none for this one.
        let is_other = |line: &str| line.contains("granted") && !line.contains(knock);
        let mut lines = daemon.said_since(mark).into_iter();
        lines.find(|line| line.split_whitespace().any(of_it) && !is_other(line))
    })
}

/// The knock that this line reports as granted.
fn opened(line: &str) -> Option<&str> {
    line.split_once("gate: opened ")?.1.split_once("knock=")?.1.split(' ').next()
}
