//! Which ports the policy is for. What it is not for is accepted early. Pure.

use sknock_netfilter::nft::rule::{Match, Rule};
use sknock_types::{PortRange, Transport};

use super::capture::KnockCapture;
use super::{FirewallPolicy, TableSpec};

impl TableSpec {
    /// The knock ports at which nobody but knocks has any business: not open to everyone, and either
    /// bound by us or each by itself, not part of a range. No grant opens them.
    pub fn dedicated_knock_ports(&self) -> impl Iterator<Item = &PortRange> {
        let taken = |ports: &PortRange| self.always_open.iter().any(|open| open.overlaps(ports));
        let bound = self.capture == KnockCapture::Socket;
        self.knock_ports.iter().filter(move |ports| (bound || ports.width() == 1) && !taken(ports))
    }

    /// Whether only knocks have any business at these knock ports.
    pub(super) fn is_dedicated_knock_port(&self, ports: PortRange) -> bool {
        self.dedicated_knock_ports().any(|one| *one == ports)
    }

    /// Accepts the ports below and above all that are protected; all, if none is.
    pub(super) fn beyond_protected(&self, transport: Transport) -> Vec<Rule> {
        if self.protected.is_empty() {
            return Vec::new();
        }
        let ours = || self.protected.iter().filter(|one| one.transport() == transport);
        let lowest = ours().map(PortRange::first).min();
        let highest = ours().map(PortRange::last).max();
        let (Some(lowest), Some(highest)) = (lowest, highest) else {
            return vec![Rule::accept([Match::Protocol(transport.number())])];
        };
        let below = (lowest > 1).then_some(Match::Below(transport, lowest));
        let above = (highest < u16::MAX).then_some(Match::Above(transport, highest));
        below.into_iter().chain(above).map(|item| Rule::accept([item])).collect()
    }

    /// Whether the policy closes any of these ports.
    pub(super) fn covers(&self, ports: PortRange) -> bool {
        let protected =
            self.protected.is_empty() || self.protected.iter().any(|p| p.overlaps(&ports));
        self.policy != FirewallPolicy::None && protected
    }
}
