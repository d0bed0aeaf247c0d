//! Loads tags of knocks into the kernel, at the network process's request.

use std::time::Duration;

use super::Gate;
use crate::ceiling::deny_reason::DenyReason;
use crate::outcome::Outcome;
use crate::tags::{KnockTag, TagChange, TagReport};
use crate::uptime::BootInstant;

const REFUSED: Outcome = Outcome::Refused { deny_reason: DenyReason::Tags, label: None };

impl Gate {
    /// Keeps tags for [`Gate::load_tags`]. The kernel does not have them yet.
    pub(super) fn stage_tags(
        &mut self,
        tags: &[KnockTag],
        seconds: u32,
        now: BootInstant,
    ) -> Outcome {
        let span = Duration::from_secs(seconds.into());
        self.tags.stage(tags, span, now).map_or(REFUSED, |()| Outcome::TagsStaged)
    }

    /// Loads the staged tags into the kernel, in one transaction. Before the table is installed, and while its rules
    /// do not test tags, the gate only remembers them for a later table.
    pub(super) fn load_tags(
        &mut self,
        count: u32,
        replace: bool,
        seconds: u32,
        now: BootInstant,
    ) -> Outcome {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let complete_for = Duration::from_secs(seconds.into());
        let Ok(change) = self.tags.plan(count, replace, complete_for, now) else { return REFUSED };
        if let Err(error) = self.change_tags(&change) {
            if !error.not_found() {
                return Outcome::Failed(error);
            }
            // The table was flushed and its events are not read yet. It comes back with these tags.
            self.tags.apply(&change, now);
            return self.install_table(now).map_or_else(Outcome::Failed, |_| Outcome::TagsLoaded);
        }
        self.tags.apply(&change, now);
        Outcome::TagsLoaded
    }

    fn change_tags(&mut self, change: &TagChange) -> Result<(), crate::error::FirewallError> {
        if self.filters_by_tags() { self.firewall.change_tags(change) } else { Ok(()) }
    }

    fn filters_by_tags(&self) -> bool {
        self.installed && self.rules.filters_by_tags()
    }

    /// Whether the tags in the kernel became out of date, or complete again, since the last call.
    pub fn take_tag_report(&mut self, now: BootInstant) -> Option<TagReport> {
        let in_use = self.filters_by_tags();
        self.tags.report(in_use, now)
    }
}
