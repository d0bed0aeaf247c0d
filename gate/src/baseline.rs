//! Which connections are there by right: those that were there when the protection was last put up by
//! our own doing, and those on ways that were granted since. In doubt, all are. No system call.

use std::collections::BTreeSet;

use sknock_netfilter::flow::FlowKey;

/// Ways on which connections may be older than a gap in the protection.
#[derive(Debug, Default)]
pub(crate) struct ConnectionBaseline {
    /// Nothing: it could not be found out.
    begun: Option<BTreeSet<FlowKey>>,
    granted: BTreeSet<FlowKey>,
}

impl ConnectionBaseline {
    /// Begins anew: these are there, or nobody knows.
    pub(crate) fn begin(&mut self, begun: Option<BTreeSet<FlowKey>>) {
        self.begun = begun;
        self.granted.clear();
    }

    /// Whether anything can be said of a connection.
    pub(crate) fn is_known(&self) -> bool {
        self.begun.is_some()
    }

    /// This way is granted from now on.
    pub(crate) fn grant(&mut self, flow: FlowKey) {
        if let Some(begun) = &self.begun
            && !begun.contains(&flow)
        {
            self.granted.insert(flow);
        }
    }

    /// Whether more than `max` ways were granted: time to look what is there now.
    pub(crate) fn is_full(&self, max: usize) -> bool {
        self.granted.len() > max
    }

    /// Whether a connection on this way may be there by right.
    pub(crate) fn contains(&self, flow: &FlowKey) -> bool {
        self.begun.as_ref().is_none_or(|begun| begun.contains(flow)) || self.granted.contains(flow)
    }
}
