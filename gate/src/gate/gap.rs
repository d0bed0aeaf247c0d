//! Terminates connections that began while the table was missing. Exempt are connections from before the gate last
//! loaded the table, connections on flows that were granted since, and all connections if the earlier ones are
//! unknown.

use std::collections::BTreeSet;

use sknock_netfilter::flow::FlowKey;

use super::Gate;
use crate::error::FirewallError;
use crate::firewall::Change;
use crate::table_spec::FirewallPolicy;

/// Flows on which connections may be older than a gap in the protection.
#[derive(Debug, Default)]
pub(super) struct ConnectionBaseline {
    /// Nothing: they could not be listed.
    begun: Option<BTreeSet<FlowKey>>,
    granted: BTreeSet<FlowKey>,
}

impl ConnectionBaseline {
    /// Starts again with the connections that are there, or with nothing if they are unknown.
    pub(super) fn begin(&mut self, begun: Option<BTreeSet<FlowKey>>) {
        self.begun = begun;
        self.granted.clear();
    }

    /// Whether the connections of the beginning are known.
    pub(super) fn is_known(&self) -> bool {
        self.begun.is_some()
    }

    /// Adds a flow that was granted.
    pub(super) fn grant(&mut self, flow: FlowKey) {
        if let Some(begun) = &self.begun
            // `is_full` limits only new flows.
            && !begun.contains(&flow)
        {
            self.granted.insert(flow);
        }
    }

    /// Whether more than `max` flows were granted: then connections must be listed again.
    pub(super) fn is_full(&self, max: usize) -> bool {
        self.granted.len() > max
    }

    /// Whether a connection on this flow may be older than the gap.
    pub(super) fn contains(&self, flow: &FlowKey) -> bool {
        self.begun.as_ref().is_none_or(|begun| begun.contains(flow)) || self.granted.contains(flow)
    }
}

/// The fewest connections that are remembered, however few grants there may be: they take about 1 MB.
const MIN_BASELINE: usize = 10_000;

/// The most connections of a gap that are considered; if there are more, none is terminated.
const MAX_UNKNOWN_FLOWS: usize = 100_000;

impl Gate {
    /// Remembers which connections are there: the table has admitted all of them.
    pub(super) fn snapshot_baseline(&mut self) {
        // Until the listing has succeeded nothing is known, and nothing will be terminated.
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

    /// Terminates connections that began while the table was gone, and that no grant allows. In doubt, a
    /// connection is older than the gap.
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
            // Otherwise a client that knocked in the gap would get no answer.
            !known && !rules.captures(flow.transport, flow.port) && !flow.address.is_loopback()
        };
        let strangers = firewall.connected(rules, strange, MAX_UNKNOWN_FLOWS)?;
        // Their sources may be forged: they must not displace flows of revoked certificates.
        let room = self.ceiling.live.saturating_sub(self.blocked.len());
        let flows: Vec<FlowKey> =
            strangers.into_iter().filter(|flow| self.is_blockable(flow)).take(room).collect();
        self.block(&flows, Change::default())
    }
}
