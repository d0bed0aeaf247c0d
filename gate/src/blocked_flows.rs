//! Who was cut off from which port, oldest first: so much of it as may be, and no more. No system call.

use std::collections::BTreeMap;

use sknock_netfilter::flow::FlowKey;

/// Ways on which nothing passes, until a grant opens them again.
#[derive(Clone, Debug, Default)]
pub struct BlockedFlows {
    numbers: BTreeMap<FlowKey, u64>,
    order: BTreeMap<u64, FlowKey>,
    next: u64,
}

impl BlockedFlows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether nobody is cut off.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether this one is cut.
    pub fn contains(&self, flow: &FlowKey) -> bool {
        self.numbers.contains_key(flow)
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl Iterator<Item = FlowKey> {
        self.order.values().copied()
    }

    /// Adds the last of `flows` that `max` has room for; those that had to make room for them, oldest
    /// first. What is there already stays where it is.
    pub fn add(&mut self, flows: &[FlowKey], max: usize) -> Vec<FlowKey> {
        for flow in flows {
            if !self.contains(flow) {
                self.numbers.insert(*flow, self.next);
                self.order.insert(self.next, *flow);
                self.next += 1;
            }
        }
        let surplus = self.len().saturating_sub(max);
        let oldest: Vec<FlowKey> = self.all().take(surplus).collect();
        self.remove(&oldest);
        oldest
    }

    /// Forgets these.
    pub fn remove(&mut self, flows: &[FlowKey]) {
        for flow in flows {
            if let Some(number) = self.numbers.remove(flow) {
                self.order.remove(&number);
            }
        }
    }

    /// Keeps only those that are so.
    pub fn retain(&mut self, stays: impl Fn(&FlowKey) -> bool) {
        let gone: Vec<FlowKey> = self.all().filter(|flow| !stays(flow)).collect();
        self.remove(&gone);
    }
}
