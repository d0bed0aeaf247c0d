//! Ends connections of grants that are closed before their time: their flows are blocked in the transaction
//! that closes the grants, and their conntrack entries are deleted afterwards.

use std::collections::BTreeSet;
use std::fmt;

use sknock_netfilter::flow::FlowKey;

use super::Gate;
use crate::ceiling::ApprovedGrant;
use crate::cert_id::CertId;
use crate::error::FirewallError;
use crate::firewall::Change;
use crate::grant_file::event::SavedEvent;
use crate::grant_key::{GrantElement, GrantKey};
use crate::grants::GrantTable;
use crate::label::GrantLabel;
use crate::remembered::BlockedFlows;
use crate::table_spec::TableSpec;
use crate::table_spec::block::OnRevoke;
use crate::uptime::BootInstant;

/// So many ways are told by name; of the others, how many they are.
const MAX_SHOWN: usize = 16;

/// Connections that were ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terminated {
    /// The first of the ways that were cut, at most 16.
    pub flows: Vec<FlowKey>,
    /// How many more ways were cut.
    pub more: usize,
    /// How many connections on them the kernel knew.
    pub connections: usize,
    /// What could not be done. Nothing passes on these ways all the same.
    pub failed: Option<FirewallError>,
}

impl Gate {
    /// Moves what has ended by itself to what was granted once: its connections go on. Every request
    /// does that first; whoever does it in quiet times, too, spares the first request after them to
    /// do all of it.
    pub fn expire(&mut self, now: BootInstant) {
        for (label, grant_key) in self.grants.expire(now) {
            self.remember_expired(label, &grant_key);
        }
    }

    /// A grant has ended, and what went through goes on.
    pub(super) fn remember_expired(&mut self, label: GrantLabel, grant_key: &GrantKey) {
        if self.rules.on_revoke == OnRevoke::Terminate {
            self.expired.insert(
                label,
                grant_key.flow(),
                self.ceiling.live,
                self.ceiling.live_of_one(),
            );
        }
    }

    /// Whether a connection on this way needs a grant. Only such may be cut: to be kept off a port that
    /// is open to everybody else would be a lock-out. While rules are on trial, those from before count,
    /// too: the kernel may go back to them at any time, and would keep the cuts.
    pub(super) fn is_blockable(&self, flow: &FlowKey) -> bool {
        let closes = |rules: &TableSpec| rules.requires_grant(flow.transport, flow.port);
        let before = self.trial.as_ref().map(|trial| &trial.previous);
        let still =
            before.is_none_or(|before| before.as_ref().is_some_and(|(rules, _)| closes(rules)));
        closes(&self.rules) && still
    }

    /// On which ways all connections are to end with what `cert` has open, or had. Not where somebody
    /// else is let in, nor where nobody needs a grant.
    fn flows_to_block(&self, cert: &CertId, closing: &[GrantKey]) -> Vec<FlowKey> {
        if self.rules.on_revoke == OnRevoke::KeepExisting {
            return Vec::new();
        }
        let mut flows = self.expired.flows_of(cert);
        flows.extend(closing.iter().map(GrantKey::flow));
        let ends =
            |flow: &FlowKey| self.is_blockable(flow) && !self.grants.is_held(flow, Some(cert));
        flows.into_iter().filter(ends).collect()
    }

    /// Closes doors of `cert`, and cuts what goes through them, in one transaction.
    pub(super) fn close_and_block(
        &mut self,
        cert: &CertId,
        (stay, close): (&[GrantElement], &[GrantKey]),
    ) -> Result<(), FirewallError> {
        let flows = self.flows_to_block(cert, close);
        self.block_or_close(&flows, Change { add: stay, remove: close, ..Change::default() })
    }

    /// Cuts `flows` in one transaction with `grant_keys`; those alone, if there is no room for more cuts.
    pub(super) fn block_or_close(
        &mut self,
        flows: &[FlowKey],
        grant_keys: Change<'_>,
    ) -> Result<(), FirewallError> {
        match self.block(flows, grant_keys, self.ceiling.live) {
            // By hand: our own are far fewer. What was granted closes all the same.
            Err(error) if error.is_full() => {
                self.terminated.fail(error);
                self.firewall.change(&grant_keys)
            }
            done => done,
        }
    }

    /// Cuts `flows` in one transaction with `grant_keys`. To keep within `max`, the oldest cuts end.
    pub(super) fn block(
        &mut self,
        flows: &[FlowKey],
        grant_keys: Change<'_>,
        max: usize,
    ) -> Result<(), FirewallError> {
        let new: Vec<FlowKey> =
            flows.iter().filter(|flow| !self.blocked.contains(flow)).copied().collect();
        let oldest = self.blocked.add(&new, max);
        let change = Change { block: flows, unblock: &oldest, ..grant_keys };
        match self.firewall.change(&change) {
            // A table that is gone gets all cuts when it is put back.
            Err(error) if !error.not_found() => {
                self.blocked.remove(&new);
                self.blocked.add(&oldest, max);
                return Err(error);
            }
            _ => {}
        }
        for flow in &new {
            self.note(&SavedEvent::Blocked(*flow));
        }
        for flow in &oldest {
            self.note(&SavedEvent::Unblocked(*flow));
        }
        self.terminated.note(&new);
        self.pending_flush.extend(flows);
        Ok(())
    }

    /// The ways of this opening that are cut: it opens them again.
    pub(super) fn unblocked_by(&self, grant: &ApprovedGrant) -> Vec<FlowKey> {
        if self.blocked.is_empty() {
            return Vec::new();
        }
        let flows: BTreeSet<FlowKey> =
            grant.grant_keys().map(|grant_key| grant_key.flow()).collect();
        flows.into_iter().filter(|flow| self.blocked.contains(flow)).collect()
    }

    /// Remembers that this is in the kernel, and cut no more.
    pub(super) fn mark_opened(&mut self, grant: &ApprovedGrant, freed: &[FlowKey]) {
        self.blocked.remove(freed);
        grant.grant_keys().for_each(|grant_key| self.baseline.grant(grant_key.flow()));
    }

    /// What is cut once the table is loaded again with `grants` in it: what was, what an earlier run has
    /// `remaining`, and the ways of doors that are `disallowed` from now on. Nobody is cut off who is let in,
    /// nor where nobody needs a grant.
    pub(super) fn next_blocklist(
        &self,
        live: &GrantTable,
        left: &[FlowKey],
        forbidden: &[GrantKey],
    ) -> BlockedFlows {
        let mut blocked = self.blocked.clone();
        blocked.add(left, self.ceiling.live);
        // What is on trial may be taken back; a connection would not come back.
        if self.rules.on_revoke == OnRevoke::Terminate && self.trial.is_none() {
            let on_trial = self.forbidden_on_trial.iter().copied();
            let on_trial = on_trial.filter(|flow| !self.ceiling.permits(flow.transport, flow.port));
            let flows: Vec<FlowKey> =
                forbidden.iter().map(GrantKey::flow).chain(on_trial).collect();
            blocked.add(&flows, self.ceiling.live);
        }
        blocked.retain(|flow| self.is_blockable(flow) && !live.is_held(flow, None));
        blocked
    }

    /// Remembers what the rules in force forbid while they are on trial. After that it is cut, or allowed again.
    pub(super) fn note_forbidden(&mut self, forbidden: &[GrantKey]) {
        if self.trial.is_some() {
            self.forbidden_on_trial.extend(forbidden.iter().map(GrantKey::flow));
        } else {
            self.forbidden_on_trial.clear();
        }
    }

    /// Takes these over, now that they are in the kernel.
    pub(super) fn commit_blocked(&mut self, blocked: BlockedFlows, left: &[FlowKey]) {
        let new: Vec<FlowKey> = blocked.all().filter(|flow| !self.blocked.contains(flow)).collect();
        let news: Vec<FlowKey> = new.iter().filter(|flow| !left.contains(flow)).copied().collect();
        self.terminated.note(&news);
        self.pending_flush.extend(new);
        self.blocked = blocked;
    }

    /// Has the kernel forget connections that were cut: looks through all that it knows, if any were.
    /// Until then, and if it fails, nothing passes on them anyway; without it, they would go on once
    /// somebody is granted the same way.
    pub fn flush_conntrack(&mut self) {
        let mut pending_flush = std::mem::take(&mut self.pending_flush);
        pending_flush.retain(|flow| self.blocked.contains(flow));
        if !pending_flush.is_empty() {
            match self.firewall.flush_conntrack(&pending_flush) {
                Ok(connections) => self.terminated.connections += connections,
                Err(error) => self.terminated.fail(error),
            }
        }
        if self.baseline.is_full(self.ceiling.live) {
            self.snapshot_baseline();
        }
    }

    /// What was cut since this was last asked, if anything was, or failed to be.
    pub fn take_terminated(&mut self) -> Option<Terminated> {
        (self.terminated != Terminated::default()).then(|| std::mem::take(&mut self.terminated))
    }
}

impl Terminated {
    pub(super) fn note(&mut self, flows: &[FlowKey]) {
        let room = MAX_SHOWN.saturating_sub(self.flows.len()).min(flows.len());
        let (shown, more) = flows.split_at(room);
        self.flows.extend(shown);
        self.more += more.len();
    }

    pub(super) fn fail(&mut self, error: FirewallError) {
        self.failed.get_or_insert(error);
    }
}

impl fmt::Display for Terminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections ended: {}", self.connections)?;
        for (index, flow) in self.flows.iter().enumerate() {
            write!(f, "{} {flow}", if index == 0 { "; blocklisted:" } else { "," })?;
        }
        if self.more > 0 {
            write!(f, ", and {} more", self.more)?;
        }
        self.failed.iter().try_for_each(|error| write!(f, "; {error}"))
    }
}
