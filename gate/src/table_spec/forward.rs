//! What is passed on: only ports that somebody publishes are judged, other transit is left alone. Pure.
//!
//! A machine whose port is published may also dial out in this host's name. The answers to that are published by
//! nobody: they have no port as dialled. Who forges a packet from that machine's address makes such an entry, and
//! comes back by it.

use sknock_netfilter::nft::rule::{Match, Rule};
use sknock_types::{PortRange, Transport};

use super::TableSpec;
use super::flow_labels::{CALL_FORGED, CALL_GENUINE, IS_FORGED, IS_GENUINE};
use super::part::Part;

impl TableSpec {
    /// The base chain `forward`.
    ///
    /// A first packet of UDP is called forged if its source is not behind the interface by which it came, and its
    /// destination is: nobody sends such, but who forges it. Answers to it are refused where they would be
    /// translated back, until a packet of the flow comes from where its source is. Packets of which nothing is
    /// translated are left alone: bridged ones may look so.
    pub(super) fn forward() -> Vec<Rule> {
        let back = [Match::SourceTranslated, Match::Reply];
        let udp = Match::Protocol(Transport::Udp.number());
        vec![
            Rule::goto([Match::Translated], Part::Translated),
            Rule::goto([back[0], back[1], Match::Syn], Part::DialledBack),
            // Before IS_FORGED: labels are never cleared, so an entry can have both.
            Rule::accept([back[0], back[1], IS_GENUINE]),
            Rule::goto([back[0], back[1], IS_FORGED], Part::Refuse),
            Rule::accept([IS_FORGED, Match::Forth, Match::WayBack, CALL_GENUINE]),
            Rule::accept([Match::Confirmed]),
            Rule::accept([udp, Match::NoWayBack, Match::TurnsBack, CALL_FORGED]),
        ]
    }

    /// The chain `dialled_back`: both sides dial at once. That is refused at protected ports, as it is in `input`.
    pub(super) fn dialled_back(&self) -> Vec<Rule> {
        if !self.protected.is_empty() {
            let tcp = self.span(Transport::Tcp);
            return tcp
                .map(|tcp| Rule::goto([Match::ReplyPorts(tcp)], Part::Refuse))
                .into_iter()
                .collect();
        }
        let is_tcp = |ports: &&PortRange| ports.transport() == Transport::Tcp;
        let open = self.always_open.iter().filter(is_tcp);
        let open = open.map(|&ports| Rule::accept([Match::ReplyPorts(ports)]));
        open.chain([Rule::goto([], Part::Refuse)]).collect()
    }
}
