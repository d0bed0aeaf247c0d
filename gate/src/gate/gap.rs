//! Connections that began while the protection was gone: those that had no right to are ended. Such as were
//! there when the gate itself last loaded the table, and those on flows that were granted since, had one.
//! In doubt, all had.

use std::collections::BTreeSet;

use sknock_netfilter::flow::FlowKey;

use super::Gate;
use crate::error::FirewallError;
use crate::firewall::Change;
use crate::table_spec::FirewallPolicy;

/// Ways on which connections may be older than a gap in the protection.
#[derive(Debug, Default)]
pub(super) struct ConnectionBaseline {
    /// Nothing: it could not be found out.
    begun: Option<BTreeSet<FlowKey>>,
    granted: BTreeSet<FlowKey>,
}

impl ConnectionBaseline {
    /// Begins anew: these are there, or nobody knows.
    pub(super) fn begin(&mut self, begun: Option<BTreeSet<FlowKey>>) {
        self.begun = begun;
        self.granted.clear();
    }

    /// Whether anything can be said of a connection.
    pub(super) fn is_known(&self) -> bool {
        self.begun.is_some()
    }

    /// This way is granted from now on.
    pub(super) fn grant(&mut self, flow: FlowKey) {
        if let Some(begun) = &self.begun
            && !begun.contains(&flow)
        {
            self.granted.insert(flow);
        }
    }

    /// Whether more than `max` ways were granted: time to look what is there now.
    pub(super) fn is_full(&self, max: usize) -> bool {
        self.granted.len() > max
    }

    /// Whether a connection on this way may be there by right.
    pub(super) fn contains(&self, flow: &FlowKey) -> bool {
        self.begun.as_ref().is_none_or(|begun| begun.contains(flow)) || self.granted.contains(flow)
    }
}

/// However few grants there may be, a host has connections: so many ways take about 1 MB.
const MIN_BASELINE: usize = 10_000;

/// So many who came in through a gap are looked at, at most; more than that, and none is cut off.
const MAX_UNKNOWN_FLOWS: usize = 100_000;

impl Gate {
    /// Remembers which connections are there, as nobody can have begun one without a right to.
    pub(super) fn snapshot_baseline(&mut self) {
        self.baseline.begin(None);
        if self.rules.policy == FirewallPolicy::None {
            return;
        }
        let max = self.ceiling.live.max(MIN_BASELINE);
        match self.firewall.connected(&self.rules, |_| true, max) {
            Ok(found) => self.baseline.begin(Some(found)),
            Err(error) => self.terminated.fail(error),
        }
    }

    /// Protection was gone, and is back: whoever came in meanwhile, and never had a right to, is cut
    /// off. In doubt, a connection is older than the gap.
    pub(super) fn block_unauthorised_after_flush(&mut self) {
        if self.rules.policy == FirewallPolicy::None || !self.baseline.is_known() {
            return;
        }
        if let Err(error) = self.block_unknown_flows() {
            self.terminated.fail(error);
        }
    }

    fn block_unknown_flows(&mut self) -> Result<(), FirewallError> {
        let Self { rules, grants: live, baseline, firewall, .. } = self;
        let strange = |flow: &FlowKey| {
            let known = baseline.contains(flow) || live.is_held(flow, None);
            // Who knocked meanwhile is no stranger, and would not get an answer.
            !known && !rules.captures(flow.transport, flow.port) && !flow.address.is_loopback()
        };
        let strangers = firewall.connected(rules, strange, MAX_UNKNOWN_FLOWS)?;
        // They may be forged: they must not drive out those who were revoked.
        let room = self.ceiling.live.saturating_sub(self.blocked.len());
        let flows: Vec<FlowKey> =
            strangers.into_iter().filter(|flow| self.is_blockable(flow)).take(room).collect();
        self.block(&flows, Change::default(), self.ceiling.live)
    }
}
