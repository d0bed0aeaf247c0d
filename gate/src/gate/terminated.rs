//! What was cut since somebody last asked: for the log.

use std::fmt;

use super::Gate;
use crate::error::FirewallError;
use sknock_netfilter::flow::FlowKey;

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

impl Gate {
    /// What was cut since this was last asked, if anything was, or failed to be.
    pub fn take_terminated(&mut self) -> Option<Terminated> {
        (self.terminated != Terminated::default()).then(|| std::mem::take(&mut self.terminated))
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
