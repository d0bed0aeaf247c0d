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
use crate::grant_key::GrantKey;
use crate::grants::GrantTable;
use crate::label::GrantLabel;
use crate::remembered::BlockedFlows;
use crate::table_spec::TableSpec;
use crate::table_spec::block::OnRevoke;
use crate::uptime::BootInstant;

/// The most flows that are logged one by one; of the others, only their number.
const MAX_SHOWN: usize = 16;

/// Connections that were terminated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terminated {
    /// The first of the flows that were blocked, at most 16.
    pub flows: Vec<FlowKey>,
    /// How many more flows were blocked.
    pub more: usize,
    /// How many conntrack entries were deleted.
    pub connections: usize,
    /// What could not be done. No packet passes on these flows all the same.
    pub failed: Option<FirewallError>,
}

impl Gate {
    /// Moves grants that have ended by themselves to the expired ones: their connections continue. Every
    /// request does that first. Called between requests, too, it spares the next one that work.
    pub fn expire(&mut self, now: BootInstant) {
        for (label, grant_key) in self.grants.expire(now) {
            self.remember_expired(label, &grant_key);
        }
    }

    /// Remembers a grant that has ended: its connections continue.
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

    /// Whether a connection on this flow needs a grant. Only such a flow may be blocked: a port that needs no grant
    /// must not be closed to one client. In a trial, the flow must need a grant by the previous rules, too: the
    /// kernel may return to them at any time, and keeps the blocklist.
    pub(super) fn is_blockable(&self, flow: &FlowKey) -> bool {
        let closes = |rules: &TableSpec| rules.requires_grant(flow.transport, flow.port);
        let before = self.trial.as_ref().map(|trial| &trial.previous);
        let still =
            before.is_none_or(|before| before.as_ref().is_some_and(|(rules, _)| closes(rules)));
        closes(&self.rules) && still
    }

    /// Of flows whose grants are closed, those that are blocked now. Others need no grant at present, or would need none
    /// after a rollback: they are remembered.
    pub(super) fn block_now_or_later(
        &mut self,
        flows: impl IntoIterator<Item = FlowKey>,
    ) -> Vec<FlowKey> {
        if self.rules.on_revoke == OnRevoke::KeepExisting {
            return Vec::new();
        }
        let (now, later): (Vec<_>, Vec<_>) =
            flows.into_iter().partition(|flow| self.is_blockable(flow));
        let new: Vec<_> = later.into_iter().filter(|flow| !self.spared.contains(flow)).collect();
        let oldest = self.spared.add(&new, self.ceiling.live);
        for flow in new {
            self.note(&SavedEvent::Blocked(flow));
        }
        for flow in oldest {
            self.note(&SavedEvent::Unblocked(flow));
        }
        now
    }

    /// The flows of what `cert` has open, or had. Not those on which another certificate has a grant.
    pub(super) fn flows_of(&self, cert: &CertId, closing: &[GrantKey]) -> Vec<FlowKey> {
        let mut flows = self.expired.flows_of(cert);
        flows.extend(closing.iter().map(GrantKey::flow));
        flows.into_iter().filter(|flow| !self.grants.is_held(flow, Some(cert))).collect()
    }

    /// Blocks `flows` in one transaction with `grant_keys`; changes only the grants if the blocklist is full.
    /// No error if the table is gone: when it is loaded again, it has what memory has.
    pub(super) fn block_or_close(
        &mut self,
        flows: &[FlowKey],
        grant_keys: Change<'_>,
    ) -> Result<(), FirewallError> {
        match self.block(flows, grant_keys) {
            // Others have filled the set: ours are far fewer. The grants are closed all the same.
            Err(error) if error.is_full() => {
                self.terminated.fail(error);
                FirewallError::unless_gone(self.firewall.change(&grant_keys))
            }
            done => done,
        }
    }

    /// Blocks `flows` in one transaction with `grant_keys`. The blocklist has at most `maxGrants` flows: the oldest
    /// are unblocked.
    pub(super) fn block(
        &mut self,
        flows: &[FlowKey],
        grant_keys: Change<'_>,
    ) -> Result<(), FirewallError> {
        let new: Vec<FlowKey> =
            flows.iter().filter(|flow| !self.blocked.contains(flow)).copied().collect();
        // Before the kernel is asked: the same transaction has to unblock those that give way.
        let oldest = self.blocked.add(&new, self.ceiling.live);
        let change = Change { block: flows, unblock: &oldest, ..grant_keys };
        if let Err(error) = FirewallError::unless_gone(self.firewall.change(&change)) {
            // The kernel has changed nothing, so memory goes back, too.
            self.blocked.remove(&new);
            self.blocked.add(&oldest, self.ceiling.live);
            return Err(error);
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

    /// The flows of this grant that are blocked: it unblocks them.
    pub(super) fn unblocked_by(&self, grant: &ApprovedGrant) -> Vec<FlowKey> {
        if self.blocked.is_empty() {
            return Vec::new();
        }
        let flows: BTreeSet<FlowKey> =
            grant.grant_keys().map(|grant_key| grant_key.flow()).collect();
        flows.into_iter().filter(|flow| self.blocked.contains(flow)).collect()
    }

    /// Remembers that the kernel has this grant, and that its flows are not blocked any more.
    pub(super) fn mark_opened(&mut self, grant: &ApprovedGrant, freed: &[FlowKey]) {
        self.blocked.remove(freed);
        for flow in grant.grant_keys().map(|grant_key| grant_key.flow()) {
            self.baseline.grant(flow);
            if self.spared.contains(&flow) {
                self.spared.remove(&[flow]);
                self.note(&SavedEvent::Unblocked(flow));
            }
        }
    }

    /// The blocklist once the table is loaded again with `live` in it: what is in it, what an earlier run has
    /// `left`, what was spared, and the flows of grants that are `forbidden` from now on. Without flows that have a
    /// grant. And, apart, those that need none.
    pub(super) fn next_blocklist(
        &self,
        live: &GrantTable,
        left: &BlockedFlows,
        forbidden: &[GrantKey],
    ) -> (BlockedFlows, BlockedFlows) {
        let mut blocked = self.blocked.clone();
        let others: Vec<FlowKey> = left.all().chain(self.spared.all()).collect();
        blocked.add(&others, self.ceiling.live);
        // Rules on trial may be rolled back; a terminated connection would not come back.
        if self.rules.on_revoke == OnRevoke::Terminate && self.trial.is_none() {
            let on_trial = self.forbidden_on_trial.iter().copied();
            // A later reload within the trial may have permitted them again.
            let on_trial = on_trial.filter(|flow| !self.ceiling.permits(flow.transport, flow.port));
            let flows: Vec<FlowKey> =
                forbidden.iter().map(GrantKey::flow).chain(on_trial).collect();
            blocked.add(&flows, self.ceiling.live);
        }
        // With a flow in the blocklist and a grant for it, the client could not connect: `input` looks up the
        // blocklist first.
        blocked.retain(|flow| !live.is_held(flow, None));
        let mut spared = blocked.clone();
        spared.retain(|flow| !self.is_blockable(flow));
        blocked.retain(|flow| self.is_blockable(flow));
        (blocked, spared)
    }

    /// Remembers what the rules on trial forbid: once they are confirmed it is blocked.
    pub(super) fn note_forbidden(&mut self, forbidden: &[GrantKey]) {
        if self.trial.is_some() {
            self.forbidden_on_trial.extend(forbidden.iter().map(GrantKey::flow));
        } else {
            self.forbidden_on_trial.clear();
        }
    }

    /// Remembers the blocklist that the kernel has now, and what it spares; what an earlier run has `left` is not
    /// reported again.
    pub(super) fn commit_blocked(
        &mut self,
        (blocked, spared): (BlockedFlows, BlockedFlows),
        left: &BlockedFlows,
    ) {
        let new: Vec<FlowKey> = blocked.all().filter(|flow| !self.blocked.contains(flow)).collect();
        let news: Vec<FlowKey> = new.iter().filter(|flow| !left.contains(flow)).copied().collect();
        self.terminated.note(&news);
        self.pending_flush.extend(new);
        (self.blocked, self.spared) = (blocked, spared);
    }

    /// Deletes the conntrack entries of flows that were blocked; lists conntrack only if there are any.
    /// Until then, and if it fails, no packet passes on them anyway. Without it, old connections would
    /// continue as soon as the same flow is granted again.
    pub fn flush_conntrack(&mut self) {
        let mut pending_flush = std::mem::take(&mut self.pending_flush);
        // A grant in the same turn may have unblocked some: their client has access again.
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

    /// What was terminated since the last call, if anything was, or failed to be.
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
        write!(f, "connections terminated: {}", self.connections)?;
        for (index, flow) in self.flows.iter().enumerate() {
            write!(f, "{} {flow}", if index == 0 { "; blocked:" } else { "," })?;
        }
        if self.more > 0 {
            write!(f, ", and {} more", self.more)?;
        }
        self.failed.iter().try_for_each(|error| write!(f, "; {error}"))
    }
}
