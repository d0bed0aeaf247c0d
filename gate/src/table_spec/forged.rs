//! Packets with a source address that their sender does not have. Pure.
//!
//! The kernel takes packets from the wire that name this host's own address as their source: in IPv6 always, and
//! in IPv4 with `accept_local`. They begin no flow: the base chain `forged` drops them before the
//! conntrack entry is confirmed, be they delivered here or passed on. The other side of a flow of TCP could find out by
//! resets which ports are protected; of UDP, a service that is open to everybody would answer.
//!
//! What this host has sent itself and what comes back to it (to a group that it has joined, by a second
//! interface) has an entry already: it was confirmed as it left.

use std::net::{Ipv4Addr, Ipv6Addr};

use sknock_netfilter::nft::rule::{Match, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::TableSpec;
use super::chain_kind::ChainKind;
use super::flow_labels::{IS_ADMITTED_REPLY, SET_WITHIN_HOST};

impl TableSpec {
    /// The base chain `forged`. Only the first packets of flows reach the lookups in the routing table.
    pub(super) fn forged(&self) -> Vec<Rule> {
        let passes = [Match::Confirmed, Match::Untracked, Match::FromLoopback];
        let mut chain: Vec<Rule> = passes.into_iter().map(|one| Rule::accept([one])).collect();
        let from = if self.protected.is_empty() {
            Some(Match::Protocol(Transport::Tcp.number()))
        } else {
            self.span(Transport::Tcp).map(Match::FromPorts)
        };
        chain.extend(from.map(|tcp| Rule::new([tcp, Match::FromLocal], Verdict::Drop)));
        let protected = self.protected_udp().map(Match::FromPorts);
        let all = Match::Protocol(Transport::Udp.number());
        let udp = protected.chain(self.protected.is_empty().then_some(all));
        chain.extend(udp.map(|from| Rule::goto([from], ChainKind::ForgedSource)));
        chain
    }

    /// The chain `forged_source`: an unprotected service would answer such a datagram, and its answer would come to
    /// the protected port over `lo`, where the table filters nothing. An answer to "no address" comes to this host,
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

    /// The lines of `input` for datagrams from the wire with this host's own address, to a protected port or from one.
    /// `forged` sees only the first packet of a flow, and its source can have become an address of this host since.
    pub(super) fn to_own_datagrams(&self) -> Vec<Rule> {
        let udp = if self.protected.is_empty() {
            vec![Match::Protocol(Transport::Udp.number())]
        } else {
            let to = self.span(Transport::Udp).map(Match::Ports);
            to.into_iter().chain(self.protected_udp().map(Match::FromPorts)).collect()
        };
        let line = |udp| Rule::goto([udp, Match::FromLocal], ChainKind::OwnDatagrams);
        udp.into_iter().map(line).collect()
    }

    /// The lines of `input` for datagrams from an anycast address of this host, behind those for admitted flows: to look
    /// that up costs as much again. An open service would answer to the host itself, as to its own addresses.
    pub(super) fn anycast_datagrams(&self) -> Vec<Rule> {
        let line =
            |udp| Rule::goto([Match::Family(true), udp, Match::FromAnycast], ChainKind::Refuse);
        if self.protected.is_empty() {
            return vec![line(Match::Protocol(Transport::Udp.number()))];
        }
        self.protected_udp().map(|ports| line(Match::FromPorts(ports))).collect()
    }

    /// The chain `own_datagrams`: what this host has sent to a group comes back by the interface, and is judged as others'
    /// packets are. It was labelled as it left. Where all traffic is closed, ports that are open to everybody label
    /// nothing, and an answer to one of them harms nobody.
    pub(super) fn own_datagrams(&self) -> Vec<Rule> {
        // A group, and no address that the host has got since: it would have sent to another host's then.
        let groups =
            [Match::ToMulticast { v6: false }, Match::ToMulticast { v6: true }, Match::ToBroadcast];
        let sent = groups.map(|group| {
            Rule::goto([Match::Original, IS_ADMITTED_REPLY, group], ChainKind::Datagrams)
        });
        let is_udp = |ports: &&PortRange| ports.transport() == Transport::Udp;
        let open = self.always_open.iter().filter(is_udp);
        let open = open.map(|&ports| Rule::goto([Match::FromPorts(ports)], ChainKind::Datagrams));
        let open = open.filter(|_| self.protected.is_empty());
        sent.into_iter().chain(open).chain([Rule::goto([], ChainKind::Refuse)]).collect()
    }

    /// The chain `into_loopback`: a local user may send from an address of another host (`IPV6_FREEBIND`). `input`
    /// filters that, but there the kernel does not know which link-local addresses are its own.
    ///
    /// From the address of one link to that of another, the answer leaves by the wire: the label keeps it from admitting
    /// who has the same address there.
    pub(super) fn into_loopback() -> Vec<Rule> {
        vec![Rule::accept([Match::FromLocal, SET_WITHIN_HOST]), Rule::new([], Verdict::Drop)]
    }

    pub(super) fn protected_udp(&self) -> impl Iterator<Item = PortRange> {
        self.protected.iter().copied().filter(|ports| ports.transport() == Transport::Udp)
    }

    /// The range from the lowest to the highest protected port of this transport: one rule for all. The rule also
    /// drops packets of the ports in between; no program needs these packets.
    pub(super) fn span(&self, transport: Transport) -> Option<PortRange> {
        let ours = || self.protected.iter().filter(|one| one.transport() == transport);
        let lowest = ours().map(PortRange::first).min()?;
        let highest = ours().map(PortRange::last).max()?;
        PortRange::new(transport, lowest, highest)
    }
}
