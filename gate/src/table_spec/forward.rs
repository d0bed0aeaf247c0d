//! What is passed on: only ports that somebody publishes are judged, other transit is left alone. Pure.
//!
//! A machine whose port is published may also dial out in this host's name. The answers to that are published by
//! nobody: they have no port as dialled. Who forges a packet from that machine's address makes such an entry, and
//! comes back by it.

use sknock_netfilter::nft::rule::{Match, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::TableSpec;
use super::part::Part;

impl TableSpec {
    /// The base chain `forward`.
    ///
    /// A first packet of UDP from a protected port is dropped if that machine is not behind the interface by which
    /// it came, and its destination is: nobody sends such, but who forges it. Where all traffic is closed, every
    /// port is protected, and transit is left alone.
    pub(super) fn forward(&self) -> Vec<Rule> {
        let back = [Match::SourceTranslated, Match::Reply, Match::Syn];
        let mut chain = vec![
            Rule::goto([Match::Translated], Part::Translated),
            Rule::goto(back, Part::DialledBack),
        ];
        if let Some(udp) = self.span(Transport::Udp) {
            let from = Match::FromPorts(udp);
            chain.push(Rule::accept([Match::Confirmed]));
            chain.push(Rule::new([from, Match::NoWayBack, Match::TurnsBack], Verdict::Drop));
        }
        chain
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
