//! Loads the table: at the start with the grants of an earlier run, later with the open grants, or with a new
//! configuration. The gate does not take over elements of the kernel's sets that are not in the grant file, whatever
//! their comments are: they may come from a saved ruleset, of this boot or of another.

use std::collections::BTreeSet;
use std::time::Duration;

use sknock_netfilter::flow::FlowKey;

use super::Gate;
use super::external::UnknownElements;
use crate::ceiling::Ceiling;
use crate::ceiling::deny_reason::DenyReason;
use crate::error::FirewallError;
use crate::firewall::TableContent;
use crate::grant_file::SavedGrants;
use crate::grant_key::{GrantElement, GrantKey};
use crate::grants::GrantTable;
use crate::outcome::Outcome;
use crate::remembered::{BlockedFlows, ExpiredGrants};
use crate::table_spec::TableSpec;
use crate::table_spec::block::OnRevoke;
use crate::tags::KnockTags;
use crate::uptime::BootInstant;

/// How much the kernel's timeouts may differ from the grant file.
const SLACK: Duration = Duration::from_secs(1);

/// What is taken over from an earlier run.
pub(super) struct Restored {
    pub(super) live: GrantTable,
    pub(super) expired: ExpiredGrants,
    /// Grants that were open and that the ceiling forbids now.
    pub(super) forbidden: Vec<GrantKey>,
    /// How many grants the kernel had that are not taken over because of the ceiling.
    pub(super) dropped: usize,
    pub(super) unknown: UnknownElements,
}

impl Gate {
    /// Loads the table again, with every grant that is open, when [`Watch::read`](crate::Watch::read) says
    /// that others have changed it. Grants for single use come back only if the kernel still had them: only
    /// the kernel knows which of them were used.
    pub fn reinstall(&mut self, now: BootInstant) -> Outcome {
        if !self.installed {
            return Outcome::Refused { deny_reason: DenyReason::NotInstalled, label: None };
        }
        let outcome = self.try_install(now);
        if let Outcome::Activated { .. } = outcome {
            self.block_unauthorised_after_flush();
            self.save(now);
            self.flush_conntrack();
            self.delete_old_udp(false);
        }
        outcome
    }

    /// Replaces the configuration, in one transaction if the table is installed; grants that it forbids are
    /// closed. If that fails, everything stays as it was. Before the table is installed, only
    /// [`Request::Activate`](crate::Request::Activate) will use it. A trial continues with the new rules.
    pub fn reconfigure(&mut self, rules: TableSpec, ceiling: Ceiling, now: BootInstant) -> Outcome {
        let (rules, ceiling) = self.replace_config(rules, ceiling);
        if !self.installed {
            return Outcome::Activated { open: 0, dropped: 0 };
        }
        let outcome = self.install(now);
        if matches!(outcome, Outcome::Failed(_)) {
            self.replace_config(rules, ceiling);
        } else {
            self.rolled_back = false;
        }
        outcome
    }

    /// Removes the table, with all grants.
    pub fn remove(&mut self) -> Result<(), FirewallError> {
        self.firewall.remove()?;
        (self.grants, self.installed, self.trial) = (GrantTable::default(), false, None);
        self.previous = None;
        self.expired = ExpiredGrants::default();
        (self.blocked, self.spared) = (BlockedFlows::default(), BlockedFlows::default());
        self.baseline.begin(None);
        self.tags = KnockTags::default();
        self.save_nothing();
        Ok(())
    }

    /// Loads the table, with every grant that is open, in one transaction.
    pub fn install(&mut self, now: BootInstant) -> Outcome {
        // The table was missing: the certificates of flows that were admitted before may have been revoked since.
        let was_open = !self.installed && !self.firewall.exists().unwrap_or(true);
        let outcome = self.try_install(now);
        if let Outcome::Activated { .. } = outcome {
            self.flush_conntrack();
            self.snapshot_baseline();
            self.delete_old_udp(was_open);
        }
        outcome
    }

    /// Must be last: the steps before it find in conntrack the flows that began while the table was missing.
    fn delete_old_udp(&mut self, labelled: bool) {
        if let Err(error) = self.firewall.delete_old_udp(&self.rules, labelled) {
            self.terminated.fail(error);
        }
    }

    fn try_install(&mut self, now: BootInstant) -> Outcome {
        match self.install_table(now) {
            Ok(dropped) => Outcome::Activated { open: self.grants.len(), dropped },
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The first time, the gate takes over the open grants of an earlier run. Later its memory decides and not the
    /// kernel, except for grants that a connection may have used up.
    pub(super) fn install_table(&mut self, now: BootInstant) -> Result<usize, FirewallError> {
        let listed =
            if self.installed { self.firewall.dump_single_use() } else { self.firewall.dump() };
        let seen = match listed {
            // Others change the firewall all the time. To load the table is more urgent; without a listing
            // no grant for single use is known to be unused.
            Err(error) if error.inconsistent_dump() && self.installed => Vec::new(),
            listed => listed?,
        };
        self.expire(now);
        if !self.installed {
            self.firewall.track_existing()?;
        }
        let adopted =
            if self.installed { self.retained(&seen, now) } else { self.restore(&seen, now) };
        let left =
            if self.installed { BlockedFlows::default() } else { self.blocked_before().clone() };
        let Restored { live, expired, forbidden, dropped, unknown } = adopted;
        let next = self.next_blocklist(&live, &left, &forbidden);
        let (elements, flows) = (live.elements(now), next.0.all().collect::<Vec<FlowKey>>());
        let tags = self.tags.elements(now);
        let content = TableContent { grants: &elements, blocked: &flows, tags: Some(&tags) };
        match &self.trial {
            None => self.firewall.install(&self.rules, content)?,
            Some(trial) => {
                self.firewall.install_on_trial(&self.rules, trial.rollback(now), content)?;
            }
        }
        self.commit_blocked(next, &left);
        self.note_forbidden(&forbidden);
        (self.grants, self.expired, self.installed) = (live, expired, true);
        self.store.saved = SavedGrants::default();
        self.unknown.extend(unknown.elements.into_iter(), unknown.more);
        self.save_all(now);
        Ok(dropped)
    }

    /// What stays of what is open, if the kernel has these elements for single use.
    fn retained(&self, seen: &[GrantElement], now: BootInstant) -> Restored {
        let (mut live, mut expired) = (self.grants.clone(), self.expired.clone());
        let forbidden = live.disallowed(&self.ceiling);
        let gone = live.retain_allowed(seen, &self.ceiling, now);
        let dropped = gone.len();
        // Used or forbidden: its connections may continue, and a revocation has to find them.
        if self.rules.on_revoke == OnRevoke::Terminate {
            let keep = |(label, grant_key): (_, GrantKey)| {
                expired.insert(
                    label,
                    grant_key.flow(),
                    self.ceiling.live,
                    self.ceiling.live_of_one(),
                );
            };
            gone.into_iter().for_each(keep);
        }
        Restored { live, expired, forbidden, dropped, unknown: UnknownElements::default() }
    }

    /// What is in the grant file of an earlier run, as far as the kernel still has it. Grants that the
    /// kernel does not have were closed or used, and their connections may continue: they are remembered.
    pub(super) fn restore(&self, seen: &[GrantElement], now: BootInstant) -> Restored {
        let SavedGrants { live: mut known, mut expired, .. } = self.store.saved.clone();
        let max = self.ceiling.live;
        let mut ended = known.expire(now);
        let is_known = |element: &&GrantElement| is_of(element, &known, now);
        let (ours, others): (Vec<&GrantElement>, Vec<&GrantElement>) =
            seen.iter().partition(is_known);
        let open: BTreeSet<GrantKey> = ours.into_iter().map(|element| element.grant_key).collect();
        let mut live = GrantTable::default();
        let left = live.restore(&known, &open, &self.ceiling, now);
        let dropped = left.iter().filter(|(_, grant_key)| open.contains(grant_key)).count();
        let permits =
            |grant_key: &GrantKey| self.ceiling.permits(grant_key.transport, grant_key.port);
        let forbidden = left
            .iter()
            .map(|(_, grant_key)| *grant_key)
            .filter(|grant_key| !permits(grant_key))
            .collect();
        ended.extend(left);
        for (label, grant_key) in ended {
            expired.insert(label, grant_key.flow(), max, self.ceiling.live_of_one());
        }
        let mut unknown = UnknownElements::default();
        unknown.extend(others.into_iter().copied(), 0);
        Restored { live, expired, forbidden, dropped, unknown }
    }
}

/// Whether this element is what `known` has for its key. One for single use that lasts longer than was
/// granted is a copy: the original may have been used.
fn is_of(element: &GrantElement, known: &GrantTable, now: BootInstant) -> bool {
    let Some(granted) = known.element(&element.grant_key, now) else { return false };
    !element.grant_key.single_use || element.remaining <= granted.remaining + SLACK
}
