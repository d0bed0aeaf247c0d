//! Flows of UDP that this host begins at a protected port: their peer belongs to them, and is
//! let in without a grant. Services may have to begin such flows; the network process never has. Pure.

use sknock_netfilter::nft::rule::{Match, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::TableSpec;
use super::capture::DNS;

impl TableSpec {
    /// The lines of `output` that keep the network process's user from it: the packets of a flow that do not
    /// answer anybody. Answers to knocks are not tracked, so they are none of these.
    ///
    /// Where the kernel may choose the port for its resolver, questions for names pass. Where all traffic
    /// is closed, every port is protected, and its questions must leave from one.
    pub(super) fn begun_here(&self) -> Vec<Rule> {
        let udp = self.protected.iter().filter(|ports| ports.transport() == Transport::Udp);
        let user = Match::SentBy { user: self.answers.user };
        let line = |&ports: &PortRange| {
            let from = Match::FromPorts(ports);
            if self.ephemeral.iter().any(|chosen| chosen.overlaps(&ports)) {
                Rule::new([from, Match::UdpNotTo(DNS), user, Match::Forth], Verdict::Drop)
            } else {
                Rule::new([from, user, Match::Forth], Verdict::Drop)
            }
        };
        udp.map(line).collect()
    }
}
