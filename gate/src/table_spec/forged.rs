//! Packets with a source address that their sender does not have. Pure.
//!
//! The kernel takes packets from the wire that name this host's own address as their source: in IPv6, where it
//! forwards, and in IPv4 with `accept_local`. A flow of UDP that such a packet begins is not admitted. One of TCP
//! would be: its other side could find out by resets which ports are protected. So the base chain `forged` drops
//! its first packet before the conntrack entry is confirmed, be it delivered here or passed on.
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
        let from = if self.protected.is_empty() {
            Some(Match::Protocol(Transport::Tcp.number()))
        } else {
            self.span(Transport::Tcp).map(Match::FromPorts)
        };
        chain.extend(from.map(|tcp| Rule::new([tcp, Match::FromLocal], Verdict::Drop)));
        chain
    }

    /// The line of `input` for datagrams from the wire with this host's own address: an admitted flow of the host with
    /// itself would let them pass.
    pub(super) fn own_datagrams(&self) -> Option<Rule> {
        let udp = if self.protected.is_empty() {
            Match::Protocol(Transport::Udp.number())
        } else {
            Match::Ports(self.span(Transport::Udp)?)
        };
        Some(Rule::goto([udp, Match::FromLocal], Part::Udp))
    }

    /// The chain `into_loopback`: a local user may send in another's name (`IPV6_FREEBIND`). `input` judges that, but
    /// there the kernel does not know which link-local addresses are its own.
    pub(super) fn leaving_by_loopback() -> Vec<Rule> {
        vec![Rule::accept([Match::FromLocal]), Rule::new([], Verdict::Drop)]
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
