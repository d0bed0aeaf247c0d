//! The clock. The only file of this crate that reads one; everything else is told.

#![expect(clippy::disallowed_methods, reason = "a client stamps its knocks and keeps its timeouts")]

use std::time::{Duration, Instant, SystemTime};

use sknock_protocol::Timestamp;

/// The time of day, for stamps. A clock before 1970 reads as 1970.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.after(since)
}

/// A span of time that began when this was made; steps of the clock do not touch it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    began: Instant,
    span: Duration,
}

impl Timer {
    /// Begins now.
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

    /// Whether the end has come.
    pub(crate) fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}
