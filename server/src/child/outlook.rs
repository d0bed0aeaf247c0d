//! Tells from when on knocks are accepted: at once, after a wait, or later again, as the clock was
//! stepped back. Decides nothing about knocks.

use std::time::Duration;

use sknock_protocol::Moment;
use tracing::{info, warn};

use crate::replay::{Journal, Opened};

/// What was told, and what there is to tell.
#[derive(Debug)]
pub(super) struct Outlook<'a> {
    replay: &'a Journal,
    opened: Opened,
    /// From when on knocks are accepted; it never gets earlier.
    from: Moment,
    /// No right clock can cause a longer wait.
    longest: Duration,
    /// At the last look.
    now: Moment,
    told: Told,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Nothing,
    Waiting,
    Accepting,
}

/// How far the replay memory's horizon is ahead of the knocks: what a power loss costs.
const HORIZON: Duration = Duration::from_secs(60);

/// A clock that goes back further was stepped: then what was told is wrong.
const STEP: Duration = Duration::from_secs(10);

impl<'a> Outlook<'a> {
    /// Has told nothing. `window` is how far stamps may be off.
    pub(super) fn new(replay: &'a Journal, opened: Opened, window: Duration) -> Self {
        let longest = HORIZON + 2 * window;
        let (from, now) = (opened.admits_from, Moment::EPOCH);
        Self { replay, opened, from, longest, now, told: Told::Nothing }
    }

    /// Tells what is new at `now`; how long until something is, unless the clock is stepped.
    pub(super) fn tell(&mut self, now: Moment) -> Option<Duration> {
        let stepped = now.after(STEP) < self.now;
        self.now = now;
        self.from = self.from.max(self.replay.admits_from());
        let wait = self.from.since(now);
        if wait.is_zero() {
            if self.told != Told::Accepting {
                info!("accepting knocks");
            }
            self.told = Told::Accepting;
            return None;
        }
        if self.told == Told::Nothing {
            info!("{}; knocks are accepted in {} s", self.opened, wait.as_secs() + 1);
        } else if self.told == Told::Accepting || stepped {
            warn!(
                "the clock was stepped back; knocks are accepted that are stamped {} or later, in {} s",
                self.from,
                wait.as_secs() + 1
            );
        }
        if wait > self.longest && (self.told != Told::Waiting || stepped) {
            warn!(
                "that long because the clock was ahead once: if it is right now, stop the server, \
                 empty stateDir and start it again"
            );
        }
        self.told = Told::Waiting;
        Some(wait)
    }
}
