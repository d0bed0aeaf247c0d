//! Logs that more datagrams arrived than can be processed. Anyone can cause that, for any time, so it is one line in ten
//! seconds for all workers together. Time is a parameter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sknock_protocol::Timestamp;
use tracing::warn;

/// Seconds between two lines, by a clock that may be set.
const PERIOD: u64 = 10;

/// What was lost and is not told yet, of all workers.
#[derive(Debug, Default)]
pub struct Overload {
    /// By a full socket.
    lost: AtomicU64,
    /// From a full queue.
    dropped_knocks: AtomicU64,
    /// The second of the latest line.
    told: Mutex<Option<u64>>,
}

impl Overload {
    /// How many a socket has lost.
    pub(crate) fn lose(&self, count: u32) {
        self.lost.fetch_add(count.into(), Ordering::Relaxed);
    }

    /// One had to leave a queue.
    pub(crate) fn turn_away(&self) {
        self.dropped_knocks.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells what was lost since the latest line, if anything was, and that was ten seconds ago.
    pub(crate) fn tell(&self, clock: fn() -> Timestamp) {
        let counts = [&self.lost, &self.dropped_knocks];
        if counts.iter().all(|count| count.load(Ordering::Relaxed) == 0) {
            return;
        }
        if let Some((lost, dropped_knocks)) = self.due(clock().as_secs()) {
            warn!(lost, dropped_knocks, "overload: datagrams dropped");
        }
    }

    fn due(&self, second: u64) -> Option<(u64, u64)> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock may have been set back.
        if told.is_some_and(|told| told.abs_diff(second) < PERIOD) {
            return None;
        }
        *told = Some(second);
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Some((take(&self.lost), take(&self.dropped_knocks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_together_tell_once_in_ten_seconds_and_nothing_is_left_out() {
        let crowd = Overload::default();
        crowd.lose(3);
        assert_eq!(crowd.due(1000), Some((3, 0)), "the first at once");
        crowd.lose(4);
        crowd.turn_away();
        assert_eq!((crowd.due(1000), crowd.due(1009)), (None, None));
        crowd.lose(5);
        assert_eq!(crowd.due(1010), Some((9, 1)));
        crowd.turn_away();
        assert_eq!(crowd.due(1011), None);
        assert_eq!(crowd.due(500), Some((0, 1)), "the clock was set back");
    }
}
