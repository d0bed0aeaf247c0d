//! A network process can read no file that has replaced one it was granted. So when a name means
//! another file than at its start, another process takes over, as with a reload, but with the settings
//! that are in force.

use std::time::Duration;

use sknock_gate::BootInstant;
use tracing::info;

use super::Supervisor;
use crate::network::readable::PathMeanings;

/// What was seen of the names.
#[derive(Debug, Default)]
pub(super) struct ResolvedNames {
    /// When to look next.
    due: BootInstant,
    /// What differs from what the current process was granted, at the last look.
    seen: Option<PathMeanings>,
    /// How many looks in a row have each seen something else.
    unsettled: u32,
    /// How often another process was started in vain, one after the other.
    failures: u32,
}

/// Between two looks.
const EVERY: Duration = Duration::from_millis(700);

/// After so many looks that differ, another process is started all the same: files that change all the
/// time keep nobody from seeing one that was replaced for good.
const UNSETTLED: u32 = 10;

/// After a start, so that names that change all the time keep us from nothing else. Twice as long each
/// time while the new process does not get ready.
const AFTER: Duration = Duration::from_secs(5);

impl ResolvedNames {
    /// A new process has taken over.
    pub(super) fn settle(&mut self) {
        self.failures = 0;
    }
}

impl Supervisor {
    /// Starts another process if a name means another file than for the current one.
    pub(super) fn follow_names(&mut self, now: BootInstant) {
        if self.next.is_some() || now < self.names.due {
            return;
        }
        let Some(current) = self.current.as_ref().filter(|current| !current.is_finishing()) else {
            return;
        };
        self.names.due = now.after(EVERY);
        let means = PathMeanings::look(current.settings.read_once());
        if means == current.granted {
            self.names.seen = None;
            self.names.unsettled = 0;
            return;
        }
        // Twice the same: who is about to replace several files is let finish.
        if self.names.seen.as_ref() != Some(&means) && self.names.unsettled < UNSETTLED {
            self.names.seen = Some(means);
            self.names.unsettled += 1;
            return;
        }
        self.names.unsettled = 0;
        self.names.due = now.after(AFTER * 2u32.pow(self.names.failures.min(6)));
        self.names.failures = self.names.failures.saturating_add(1);
        info!(
            "files for name resolution or TLS changed. Starting a new network process, which \
             reads them"
        );
        self.renewed = false;
        // What is wrong was told, and the current process stays.
        self.next = self.spawner.start(&self.settings, now).ok();
    }
}
