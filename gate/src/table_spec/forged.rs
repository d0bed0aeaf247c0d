//! Packets with a source address that their sender does not have. Pure.
//!
//! The kernel takes packets from the wire that name this host's own address as their source: in IPv6, where it
//! forwards, and in IPv4 with `accept_local`. They begin no flow: the base chain `forged` drops them before the
//! conntrack entry is confirmed, be they delivered here or passed on. The other side of a flow of TCP could find out by
//! resets which ports are protected; of UDP, a service that is open to everybody would answer.
//!
//! What this host has sent itself and what comes back to it (to a group that it has joined, by a second
//! interface) has an entry already: it was confirmed as it left.

use std::net::{Ipv4Addr, Ipv6Addr};

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
        let is_udp = |ports: &&PortRange| ports.transport() == Transport::Udp;
        let protected = self.protected.iter().filter(is_udp).map(|&ports| Match::FromPorts(ports));
        let all = Match::Protocol(Transport::Udp.number());
        let udp = protected.chain(self.protected.is_empty().then_some(all));
        chain.extend(udp.map(|from| Rule::goto([from], Part::ForgedSource)));
        chain
    }

    /// The chain `forged_source`: a service that is open to everybody would answer such a datagram, and its answer would
    /// come to the protected port over `lo`, where nothing is filtered. What is sent to "no address" comes to this host,
    /// too.
    pub(super) fn forged_source(&self) -> Vec<Rule> {
        let asks_for_address = self.protected.is_empty().then(|| {
            Rule::accept([
                // As in the chain `datagrams`.
                Match::ToV4(Ipv4Addr::BROADCAST),
                Match::UdpBetween { from: 68, to: 67 },
            ])
        });
        let drop =
            |from| Rule::new([Match::Family(from == Match::FromAnycast), from], Verdict::Drop);
        let mut chain: Vec<Rule> = asks_for_address.into_iter().collect();
        chain.push(Rule::new([Match::FromLocal], Verdict::Drop));
        chain.extend([Match::FromBroadcast, Match::FromAnycast].map(drop));
        chain.push(Rule::new([Match::FromV6(Ipv6Addr::UNSPECIFIED)], Verdict::Drop));
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
