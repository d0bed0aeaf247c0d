//! What is passed on: only ports that somebody publishes are judged, other transit is left alone. Pure.
//!
//! A machine whose port is published may also dial out in this host's name. The answers to that are published by
//! nobody: they have no port as dialled. Who forges a packet from that machine's address makes such an entry, and
//! comes back by it.

use sknock_netfilter::nft::rule::{Match, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::TableSpec;
use super::flow_labels::{CALL_FORGED, CALL_GENUINE, IS_FORGED, IS_GENUINE};
use super::part::Part;

impl TableSpec {
    /// The base chain `forward`.
    ///
    /// What is translated both ways (a DNAT rule for questions of machines that are masqueraded) is asked for forged
    /// flows, too: so that comes first.
    pub(super) fn forward(&self) -> Vec<Rule> {
        let told = self.tells_forged_flows();
        let told =
            told.into_iter().map(|item| Rule::new([item], Verdict::Jump(Part::PassedOn.into())));
        let mut chain: Vec<Rule> = told.collect();
        chain.extend([
            Rule::goto([Match::Translated], Part::Translated),
            Rule::goto([Match::SourceTranslated, Match::Reply, Match::Syn], Part::DialledBack),
        ]);
        chain
    }

    /// Of which transports it is asked whether a flow that others begin is forged: of those of which a published port
    /// can be protected. In deny-all mode, a SYN that answers is refused anyway.
    pub(super) fn tells_forged_flows(&self) -> Vec<Match> {
        let is_told = |transport: &Transport| {
            let tells = |ports: &PortRange| ports.transport() == *transport;
            let all_udp = self.protected.is_empty() && *transport == Transport::Udp;
            all_udp || self.protected.iter().any(tells)
        };
        let told = [Transport::Tcp, Transport::Udp].into_iter().filter(is_told);
        told.map(|transport| Match::Protocol(transport.number())).collect()
    }

    /// The chain `passed_on`.
    ///
    /// A first packet is called forged if its source is not behind the interface by which it came, and its
    /// destination is. Who forges one sends such, and so do masqueraded machines whose packets take another way than
    /// the answers to them.
    ///
    /// The destination is looked up as the packet was routed: with its mark. The source is looked up without: that
    /// mark is one for packets that leave, and the routes for these may lead to everybody.
    pub(super) fn passed_on() -> Vec<Rule> {
        vec![
            Rule::goto([IS_FORGED], Part::ForgedFlow),
            Rule::new([Match::Confirmed], Verdict::Return),
            Rule::new([Match::NoWayBack, Match::TurnsBack, CALL_FORGED], Verdict::Return),
        ]
    }

    /// The chain `forged_flow`: answers are refused where they would be translated back, until a packet of the flow
    /// comes that is not as the first one. Packets of which nothing is translated are left alone: bridged ones may
    /// look so.
    ///
    /// Where only some ports are protected, answers are refused only at these: the machine's own port, or the one to
    /// which masquerading has translated it. So the other flows of a machine live, whatever way they take. A published
    /// port that leads to an unprotected number is not covered. Of TCP only a SYN begins something, and nobody answers
    /// with one: it is refused at any port.
    pub(super) fn forged_flow(&self) -> Vec<Rule> {
        let back = [Match::SourceTranslated, Match::Reply];
        let mut chain = vec![Rule::new([IS_GENUINE], Verdict::Return)];
        if self.span(Transport::Tcp).is_some() {
            chain.push(Rule::goto([back[0], back[1], Match::Syn], Part::Refuse));
        }
        if self.protected.is_empty() {
            chain.push(Rule::goto(back, Part::Refuse));
        }
        for ports in self.protected.iter().copied().filter(|&ports| is_udp(ports)) {
            // Here the packet's own destination is the machine's.
            for port in [Match::Ports(ports), Match::ReplyPorts(ports)] {
                chain.push(Rule::goto([back[0], back[1], port], Part::Refuse));
            }
        }
        for unlike in [Match::WayBack, Match::GoesOn] {
            chain.push(Rule::new([Match::Forth, unlike, CALL_GENUINE], Verdict::Return));
        }
        chain
    }

    /// The chain `dialled_back`: both sides dial at once. That is refused at protected ports, as it is in `input`: by
    /// the machine's own port, and by the one to which masquerading has translated it. Where another machine has taken
    /// a number, masquerading chooses any.
    pub(super) fn dialled_back(&self) -> Vec<Rule> {
        let is_tcp = |ports: &&PortRange| ports.transport() == Transport::Tcp;
        if self.protected.is_empty() {
            let open = self.always_open.iter().filter(is_tcp);
            let open = open.map(|&tcp| Rule::accept([Match::Ports(tcp), Match::ReplyPorts(tcp)]));
            return open.chain([Rule::goto([], Part::Refuse)]).collect();
        }
        let ports =
            self.span(Transport::Tcp).map(|tcp| [Match::Ports(tcp), Match::ReplyPorts(tcp)]);
        ports.into_iter().flatten().map(|port| Rule::goto([port], Part::Refuse)).collect()
    }
}

fn is_udp(ports: PortRange) -> bool {
    ports.transport() == Transport::Udp
}
