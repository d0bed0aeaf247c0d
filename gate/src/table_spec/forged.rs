//! Packets with a source address that their sender does not have. Pure.
//!
//! Who begins a flow at a protected port lets the other side in. So a packet by the wire that names this host's
//! own address as its source must not become the first one of a flow: the kernel takes such packets in IPv6,
//! where it forwards, and in IPv4 with `accept_local`. The base chain `forged` drops it before its conntrack
//! entry is confirmed, be it delivered here or passed on.
//!
//! What this host has sent itself and what comes back to it (to a group that it has joined, by a second
//! interface) has an entry already: it was confirmed as it left.

use sknock_netfilter::nft::rule::{Match, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::TableSpec;
use super::part::Part;

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

    /// From the lowest to the highest protected port of this transport: one line, however many there are.
    /// Nobody needs those in between to come from this host's own address by the wire.
    fn span(&self, transport: Transport) -> Option<PortRange> {
        let ours = || self.protected.iter().filter(|one| one.transport() == transport);
        let lowest = ours().map(PortRange::first).min()?;
        let highest = ours().map(PortRange::last).max()?;
        PortRange::new(transport, lowest, highest)
    }
}
