//! Packets with a source address that their sender does not have. Pure.
//!
//! Who begins a flow at a protected port lets the other side in. So a packet by the wire that names this host's
//! own address as its source must not become the first one of a flow: the kernel takes such packets in IPv6,
//! where it forwards, and in IPv4 with `accept_local`. The base chain `forged` drops it before its conntrack
//! entry is confirmed, be it delivered here or passed on.
//!
//! What this host has sent itself and what comes back to it (to a group that it has joined, by a second
//! interface) has an entry already: it was confirmed as it left.

use sknock_netfilter::nft::rule::{Match, PortOf, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::TableSpec;
use super::part::Part;
use crate::grant_key::GrantSet;

impl TableSpec {
    /// The base chain `forged`. Only the first packets of flows come as far as to the routing table.
    pub(super) fn forged(&self) -> Vec<Rule> {
        let passes = [Match::Confirmed, Match::Untracked, Match::FromLoopback];
        let mut chain: Vec<Rule> = passes.into_iter().map(|one| Rule::accept([one])).collect();
        if self.protected.is_empty() {
            chain.push(Rule::new([Match::FromLocal], Verdict::Drop));
        }
        let spans = [Transport::Tcp, Transport::Udp].into_iter().filter_map(|one| self.span(one));
        let line = |span| Rule::new([Match::FromPorts(span), Match::FromLocal], Verdict::Drop);
        chain.extend(spans.map(line));
        chain
    }

    /// The line of `input` for datagrams by the wire from this host's own address: an entry of what it says to
    /// itself would let them pass.
    pub(super) fn own_datagrams(&self) -> Option<Rule> {
        let udp = if self.protected.is_empty() {
            Match::Protocol(Transport::Udp.number())
        } else {
            Match::Ports(self.span(Transport::Udp)?)
        };
        Some(Rule::goto([udp, Match::FromLocal], Part::Udp))
    }

    /// The chain `into_loopback`: what a local user sends in another's name (`IPV6_FREEBIND`) is judged in `input`,
    /// but there its conntrack entry has been confirmed. For UDP, one answer from anywhere would complete it.
    ///
    /// Link-local sources of others do not pass at all: in `input` the kernel does not know which are its own.
    ///
    /// Answers in such flows pass, and so does what has a grant: transparent proxies send so.
    pub(super) fn leaving_by_loopback(&self) -> Vec<Rule> {
        let mut chain = vec![
            Rule::accept([Match::FromLinkLocal, Match::FromLocal]),
            Rule::new([Match::FromLinkLocal], Verdict::Drop),
        ];
        let granted = [GrantSet::Grant4, GrantSet::Grant6];
        let granted = granted.map(|set| Match::In(set.into(), PortOf::Packet));
        let passes = [Match::Confirmed, Match::FromLocal].into_iter().chain(granted);
        chain.extend(passes.map(|one| Rule::accept([one])));
        let of = |ranges: &[PortRange], verdict| {
            let udp = ranges.iter().filter(|one| one.transport() == Transport::Udp);
            udp.map(|&one| Rule::new([Match::Ports(one)], verdict)).collect::<Vec<_>>()
        };
        if self.protected.is_empty() {
            let udp = Match::Protocol(Transport::Udp.number());
            chain.extend(of(&self.always_open, Verdict::Accept));
            chain.push(Rule::new([udp], Verdict::Drop));
        } else {
            chain.extend(of(&self.protected, Verdict::Drop));
        }
        chain
    }

    /// From the lowest to the highest protected port of this transport: one line, however many there are.
    /// Those in between are treated alike: nobody needs what is dropped of them.
    pub(super) fn span(&self, transport: Transport) -> Option<PortRange> {
        let ours = || self.protected.iter().filter(|one| one.transport() == transport);
        let lowest = ours().map(PortRange::first).min()?;
        let highest = ours().map(PortRange::last).max()?;
        PortRange::new(transport, lowest, highest)
    }
}
