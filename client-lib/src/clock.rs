//! The clock. The only file of this crate that reads one; elsewhere time is a parameter.

#![expect(clippy::disallowed_methods, reason = "a client stamps its knocks and keeps its timeouts")]

use std::time::{Duration, Instant, SystemTime};

use sknock_protocol::Timestamp;

/// The wall clock, for timestamps. A clock before 1970 reads as 1970.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.after(since)
}

/// A time span that begins now; steps of the wall clock do not affect it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    began: Instant,
    span: Duration,
}

impl Timer {
    pub(crate) fn of(span: Duration) -> Self {
        Self { began: Instant::now(), span }
    }

    /// Time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time until the end; zero afterwards.
    pub(crate) fn left(&self) -> Duration {
        self.span.saturating_sub(self.elapsed())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}
