//! Logs that more datagrams arrived than can be processed. Any sender can cause that, so all workers together
//! write one line in ten seconds. Time is a parameter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sknock_protocol::Timestamp;
use tracing::warn;

/// Seconds between two lines, by the wall clock.
const PERIOD: u64 = 10;

/// Losses of all workers that are not logged yet.
#[derive(Debug, Default)]
pub struct Overload {
    /// Lost because a socket was full.
    lost: AtomicU64,
    /// Dropped because a queue was full.
    dropped_knocks: AtomicU64,
    /// The second of the latest log line.
    logged: Mutex<Option<u64>>,
}

impl Overload {
    /// Counts datagrams that a socket lost.
    pub(crate) fn count_lost(&self, count: u32) {
        self.lost.fetch_add(count.into(), Ordering::Relaxed);
    }

    /// Counts a knock that was dropped from a queue.
    pub(crate) fn count_dropped(&self) {
        self.dropped_knocks.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs the losses since the latest line, at most once in ten seconds.
    pub(crate) fn log(&self, clock: fn() -> Timestamp) {
        let counts = [&self.lost, &self.dropped_knocks];
        if counts.iter().all(|count| count.load(Ordering::Relaxed) == 0) {
            return;
        }
        if let Some((lost, dropped_knocks)) = self.due(clock().as_secs()) {
            warn!(lost, dropped_knocks, "overload: datagrams dropped");
        }
    }

    fn due(&self, second: u64) -> Option<(u64, u64)> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock may have been set back.
        if logged.is_some_and(|logged| logged.abs_diff(second) < PERIOD) {
            return None;
        }
        *logged = Some(second);
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Some((take(&self.lost), take(&self.dropped_knocks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_together_tell_once_in_ten_seconds_and_nothing_is_left_out() {
        let overload = Overload::default();
        overload.count_lost(3);
        assert_eq!(overload.due(1000), Some((3, 0)), "the first at once");
        overload.count_lost(4);
        overload.count_dropped();
        assert_eq!((overload.due(1000), overload.due(1009)), (None, None));
        overload.count_lost(5);
        assert_eq!(overload.due(1010), Some((9, 1)));
        overload.count_dropped();
        assert_eq!(overload.due(1011), None);
        assert_eq!(overload.due(500), Some((0, 1)), "the clock was set back");
    }
}
