//! Forwarded packets: the rules filter published ports; other transit passes. Pure.
//!
//! A machine whose port is published may also dial out with this host's address (masquerading). The answers to it
//! have no dialled port. A sender that forges a packet from that machine's address makes a conntrack entry, and its
//! peer can reach the machine by answers.

use sknock_netfilter::nft::rule::{Match, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::TableSpec;
use super::chain_kind::ChainKind;
use super::flow_labels::{IS_GENUINE, SET_GENUINE};

impl TableSpec {
    /// The base chain `forward`.
    ///
    /// The rules for forged flows come first: they also apply to flows whose source and destination are translated (a
    /// DNAT rule for DNS queries of masqueraded machines).
    pub(super) fn forward(&self) -> Vec<Rule> {
        let tested = self.transports_tested_for_forgery();
        let tested = tested
            .into_iter()
            .map(|item| Rule::new([item], Verdict::Jump(ChainKind::PassedOn.into())));
        let mut chain: Vec<Rule> = tested.collect();
        chain.extend([
            Rule::goto([Match::DestinationTranslated], ChainKind::Translated),
            Rule::goto([Match::SourceTranslated, Match::Reply, Match::Syn], ChainKind::DialledBack),
        ]);
        chain
    }

    /// The transports whose forwarded flows are tested for a forged first packet: those with a protected port. In
    /// deny-all mode only UDP, because a SYN in the reply direction is refused anyway.
    pub(super) fn transports_tested_for_forgery(&self) -> Vec<Match> {
        let is_tested = |transport: &Transport| {
            let tests = |ports: &PortRange| ports.transport() == *transport;
            let all_udp = self.protected.is_empty() && *transport == Transport::Udp;
            all_udp || self.protected.iter().any(tests)
        };
        let tested = [Transport::Tcp, Transport::Udp].into_iter().filter(is_tested);
        tested.map(|transport| Match::Protocol(transport.number())).collect()
    }

    /// The chain `passed_on`.
    ///
    /// A first packet may be forged if its source is not routed to the interface by which it came, and its destination is.
    /// Masqueraded machines with asymmetric paths send such packets, too. All other flows get the label GENUINE with their
    /// first packet; so flows without it may be forged, or are older than the table, or a local user has begun them.
    ///
    /// The lookup of the destination uses the packet's mark, as the kernel did to route it. The lookup of the source
    /// does not: the mark selects routes for packets that leave, and these may lead to any address.
    pub(super) fn passed_on() -> Vec<Rule> {
        vec![
            Rule::new([IS_GENUINE], Verdict::Return),
            Rule::goto([Match::Confirmed], ChainKind::ForgedFlow),
            Rule::new(
                [Match::SourceNotRoutedToIif, Match::DestinationRoutedToIif],
                Verdict::Return,
            ),
            Rule::new([SET_GENUINE], Verdict::Return),
        ]
    }

    /// The chain `forged_flow`: refuses answers that NAT would translate back, until a packet of the flow comes that
    /// differs from the first one. Packets without a translation pass: bridged packets may look forged.
    ///
    /// With `protectedPorts`, it refuses answers only at these: the machine's own port, or the one to which
    /// masquerading has translated it. So other flows of the machine continue, also on asymmetric paths. A published
    /// port that leads to an unprotected number is not covered. Of TCP only a SYN begins a connection, and an answer
    /// is never a SYN: it is refused at any port.
    pub(super) fn forged_flow(&self) -> Vec<Rule> {
        let back = [Match::SourceTranslated, Match::Reply];
        let mut chain = Vec::new();
        if self.span(Transport::Tcp).is_some() {
            chain.push(Rule::goto([back[0], back[1], Match::Syn], ChainKind::Refuse));
        }
        if self.protected.is_empty() {
            chain.push(Rule::goto(back, ChainKind::Refuse));
        }
        for ports in self.protected_udp() {
            // At this hook the destination of an answer is the machine's address and port.
            for port in [Match::Ports(ports), Match::ReplyPorts(ports)] {
                chain.push(Rule::goto([back[0], back[1], port], ChainKind::Refuse));
            }
        }
        for unlike in [Match::SourceRoutedToIif, Match::DestinationNotRoutedToIif] {
            chain.push(Rule::new([Match::Original, unlike, SET_GENUINE], Verdict::Return));
        }
        chain
    }

    /// The chain `dialled_back`: refuses that both sides dial at the same time at protected ports, as `input` does:
    /// by the machine's own port, and by the one to which masquerading has translated it. If another machine uses
    /// that number, masquerading chooses any other.
    pub(super) fn dialled_back(&self) -> Vec<Rule> {
        let is_tcp = |ports: &&PortRange| ports.transport() == Transport::Tcp;
        if self.protected.is_empty() {
            let open = self.always_open.iter().filter(is_tcp);
            let open = open.map(|&tcp| Rule::accept([Match::Ports(tcp), Match::ReplyPorts(tcp)]));
            return open.chain([Rule::goto([], ChainKind::Refuse)]).collect();
        }
        let ports =
            self.span(Transport::Tcp).map(|tcp| [Match::Ports(tcp), Match::ReplyPorts(tcp)]);
        ports.into_iter().flatten().map(|port| Rule::goto([port], ChainKind::Refuse)).collect()
    }
}
