//! Tells from when on knocks are accepted: at once, after a wait, or later again, as the clock was
//! stepped back. Decides nothing about knocks.

use std::time::Duration;

use sknock_protocol::Timestamp;
use tracing::{info, warn};

use crate::knock::replay::{Journal, RecoveryReport};

/// What was told, and what there is to tell.
#[derive(Debug)]
pub(super) struct AcceptanceDelay<'a> {
    replay: &'a Journal,
    opened: RecoveryReport,
    /// From when on knocks are accepted; it never gets earlier.
    from: Timestamp,
    /// No right clock can cause a longer wait.
    longest: Duration,
    /// At the last look.
    now: Timestamp,
    told: LoggedDelay,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LoggedDelay {
    Nothing,
    Waiting,
    Accepting,
}

/// How far the replay memory's horizon is ahead of the knocks: what a power loss costs.
const HORIZON: Duration = Duration::from_secs(60);

/// A clock that goes back further was stepped: then what was told is wrong.
const STEP: Duration = Duration::from_secs(10);

impl<'a> AcceptanceDelay<'a> {
    /// Has told nothing. `window` is how far stamps may be off.
    pub(super) fn new(replay: &'a Journal, opened: RecoveryReport, window: Duration) -> Self {
        let longest = HORIZON + 2 * window;
        let (from, now) = (opened.admits_from, Timestamp::EPOCH);
        Self { replay, opened, from, longest, now, told: LoggedDelay::Nothing }
    }

    /// Tells what is new at `now`; how long until something is, unless the clock is stepped.
    pub(super) fn tell(&mut self, now: Timestamp) -> Option<Duration> {
        let stepped = now.after(STEP) < self.now;
        self.now = now;
        self.from = self.from.max(self.replay.admits_from());
        let wait = self.from.since(now);
        if wait.is_zero() {
            if self.told != LoggedDelay::Accepting {
                info!("accepting knocks");
            }
            self.told = LoggedDelay::Accepting;
            return None;
        }
        if self.told == LoggedDelay::Nothing {
            info!(
                "{}: knocks are accepted in {} s (timestamp {} or later)",
                self.opened.history,
                wait.as_secs() + 1,
                self.from
            );
        } else if self.told == LoggedDelay::Accepting || stepped {
            warn!(
                "the clock was set back: knocks are accepted in {} s (timestamp {} or later)",
                wait.as_secs() + 1,
                self.from
            );
        }
        if wait > self.longest && (self.told != LoggedDelay::Waiting || stepped) {
            warn!(
                "the wait is long because the clock was ahead earlier. If the clock is correct \
                 now: stop sknockd, empty stateDir, start sknockd"
            );
        }
        self.told = LoggedDelay::Waiting;
        Some(wait)
    }
}
