//! Writes the grants to the grant file, for the gate of the next run.

use std::io;
use std::time::Duration;

use sknock_netfilter::flow::FlowKey;

use super::Gate;
use crate::ceiling::ApprovedGrant;
use crate::grant_file::GrantFile;
use crate::grant_file::SavedGrants;
use crate::grant_file::event::SavedEvent;
use crate::grants;
use crate::remembered::BlockedFlows;
use crate::uptime::BootInstant;

/// How long after a failure to write the next attempt is made.
const PAUSE: Duration = Duration::from_secs(1);

/// The grant file, and whether it could be written.
#[derive(Debug, Default)]
pub(super) struct GrantStore {
    file: Option<GrantFile>,
    /// What an earlier run has left, until the table is installed.
    pub(super) saved: SavedGrants,
    /// After a failure, when to try again.
    again: Option<BootInstant>,
    failed: Option<io::Error>,
}

impl Gate {
    /// Writes grants to `file` from here on. Call it before the table is installed: of the kernel's elements
    /// the gate takes over only those that are in `saved`.
    pub fn save_to(&mut self, file: GrantFile, saved: Option<SavedGrants>) {
        self.store.saved = saved.unwrap_or_default();
        self.store.file = Some(file);
    }

    /// Why the grant file could not be written, once until it has worked again: the next gate would not take
    /// the grants over.
    pub fn save_error(&mut self) -> Option<io::Error> {
        self.store.failed.take()
    }

    pub(super) fn note(&mut self, entry: &SavedEvent) {
        self.store.file.iter_mut().for_each(|file| file.note(entry));
    }

    pub(super) fn note_opening(
        &mut self,
        grant: &ApprovedGrant,
        freed: &[FlowKey],
        now: BootInstant,
    ) {
        if self.store.file.is_some() {
            grants::entries(grant, now).for_each(|entry| self.note(&SavedEvent::Granted(entry)));
            for flow in freed {
                self.note(&SavedEvent::Unblocked(*flow));
            }
        }
    }

    /// Writes what was noted, before the answers are sent. Called between requests: tries again what has failed.
    pub fn save(&mut self, now: BootInstant) {
        let Some(file) = &mut self.store.file else { return };
        if let Err(error) = file.append() {
            self.store.failed = Some(error);
        }
        let due = file.needs_compaction() && self.store.again.is_none_or(|again| again <= now);
        // Not before: the file still has what the earlier run has left, and memory has nothing yet. After a
        // crash at this point the next gate would take nothing over.
        if due && self.installed {
            self.save_all(now);
        }
    }

    /// Writes down all that there is.
    pub(super) fn save_all(&mut self, now: BootInstant) {
        let Self { store, grants: live, expired, blocked, spared, trial, .. } = self;
        let Some(file) = &mut store.file else { return };
        let trial = trial.as_ref().map(|trial| SavedEvent::Trial(trial.until()));
        let expired = expired.all().map(|(label, flow)| SavedEvent::Ended(*label, *flow));
        let live = live.index().map(|entry| SavedEvent::Granted(*entry));
        let all = trial
            .into_iter()
            .chain(expired)
            .chain(live)
            // Spared flows are written as blocked ones: the next gate's rules decide which they are
            // (`next_blocklist`).
            .chain(blocked.all().chain(spared.all()).map(SavedEvent::Blocked));
        match file.compact(all) {
            Ok(()) => store.again = None,
            Err(error) => {
                // Reported once, until it has worked again.
                if store.again.is_none() {
                    store.failed = Some(error);
                }
                store.again = Some(now.after(PAUSE));
            }
        }
    }

    /// Clears the grant file: there are no grants, open or expired.
    pub(super) fn save_nothing(&mut self) {
        self.store.saved = SavedGrants::default();
        if let Some(file) = &mut self.store.file
            && let Err(error) = file.clear()
        {
            self.store.failed = Some(error);
        }
    }

    /// The blocklist of an earlier run.
    pub(super) fn blocked_before(&self) -> &BlockedFlows {
        &self.store.saved.blocked
    }
}
