//! Waiting for something to become true, and the only clock of the harness.

use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use sknock_protocol::Timestamp;

/// When a wait is given up: far beyond what anything here takes, also on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `holds`; fails after [`LIMIT`] with `what` was waited for.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    some(what, || holds().then_some(()));
}

/// Waits until there is something, and returns it.
#[track_caller]
pub fn some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Limit::new(LIMIT);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!limit.is_over(), "waited {} s in vain: {what}", LIMIT.as_secs());
        thread::sleep(PAUSE);
    }
}

/// What `bind` makes, once its port is free. A socket that was closed just now is open for a moment longer
/// in a program that another test is starting: until that program runs, it has all that we had.
#[track_caller]
pub fn once_free<T>(bind: impl Fn() -> io::Result<T>) -> T {
    some("the port is free", || match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
        result => Some(result.expect("the port can be bound")),
    })
}

/// Repeats an interrupted call: the kernel returns EINTR from a wait with a timeout when the machine, or this
/// process, was stopped for a moment.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The end of a wait.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Instant);

impl Limit {
    /// Begins to wait for at most `span`.
    #[expect(clippy::disallowed_methods, reason = "the harness's clock")]
    pub fn new(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// The remaining time; zero when over.
    #[expect(clippy::disallowed_methods, reason = "the harness's clock")]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the time is over.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }
}

/// The time that knocks are stamped with.
#[expect(clippy::disallowed_methods, reason = "the harness's clock")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::EPOCH.after(since.expect("it is after 1970"))
}

/// Measures a time for output; must not be asserted.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    #[expect(clippy::disallowed_methods, reason = "the harness's clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Since the start.
    pub fn span(self) -> Duration {
        self.0.elapsed()
    }
}
