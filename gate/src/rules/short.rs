//! Short ways through the chain `deny`, for what arrives most: traffic that the policy is not for, and
//! junk at the knock port. They change how soon a packet is through, not what becomes of it. Pure.

use crate::{Hearing, Line, Match, Policy, PortRange, Rules, Transport, Verdict};

impl Rules {
    /// The knock ports at which nobody but knocks has any business: not open to everyone, and either
    /// bound by us or each by itself, not part of a range. No grant opens them.
    pub fn for_knocks_only(&self) -> impl Iterator<Item = &PortRange> {
        let taken = |ports: &PortRange| self.always_open.iter().any(|open| open.overlaps(ports));
        let bound = self.hearing == Hearing::Socket;
        self.knock_ports.iter().filter(move |ports| (bound || ports.width() == 1) && !taken(ports))
    }

    /// Lets go of what no line further down can refuse: of each transport, the ports below and above
    /// all that are concerned.
    pub(super) fn not_concerned(&self) -> Vec<Line> {
        if self.protected.is_empty() && self.policy != Policy::None {
            return Vec::new();
        }
        [Transport::Tcp, Transport::Udp].into_iter().flat_map(|one| self.not_among(one)).collect()
    }

    fn not_among(&self, transport: Transport) -> Vec<Line> {
        let knocks = self.knock_ports.iter().filter(|_| self.hearing == Hearing::Socket);
        let concerned = self.protected.iter().chain(knocks);
        let concerned: Vec<_> = concerned.filter(|one| one.transport() == transport).collect();
        let lowest = concerned.iter().map(|ports| ports.first()).min();
        let highest = concerned.iter().map(|ports| ports.last()).max();
        let (Some(lowest), Some(highest)) = (lowest, highest) else {
            return vec![Line::accept([Match::Protocol(transport.number())])];
        };
        let below = (lowest > 1).then_some(Match::Below(transport, lowest));
        let above = (highest < u16::MAX).then_some(Match::Above(transport, highest));
        below.into_iter().chain(above).map(|item| Line::accept([item])).collect()
    }

    /// Refuses what is at a knock port and no knock. A socket must not get it, and a port where nobody
    /// listens is closed: unreachable, unless the policy is silence for it.
    pub(super) fn no_knocks(&self) -> Vec<Line> {
        let line = |&ports: &PortRange| {
            let covers = |protected: &PortRange| protected.overlaps(&ports);
            let protected = self.protected.is_empty() || self.protected.iter().any(covers);
            let policy = self.policy.verdict(Some(Transport::Udp)).filter(|_| protected);
            let unheard = (self.hearing == Hearing::Socket).then_some(Verdict::Unreachable);
            Some(Line { matches: vec![Match::Ports(ports)], verdict: policy.or(unheard)? })
        };
        self.for_knocks_only().filter_map(line).collect()
    }
}
