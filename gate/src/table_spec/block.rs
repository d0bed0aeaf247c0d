//! How the table ends connections of blocked flows. Pure.
//!
//! To delete a conntrack entry is not enough: the server's next packet would make a new one, in the other
//! direction, and the client's packets would belong to that. So packets of blocked flows are dropped in
//! both directions, before established connections are accepted.

use sknock_netfilter::nft::rule::{AddressSet, Match, PortOf, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::capture::DNS;
use super::flow_labels::{
    ADMIT_BACK, ADMIT_FORTH, CALL_FORGED, CALL_WITHIN_HOST, IS_ADMITTED_BACK, IS_ADMITTED_FORTH,
};
use super::incoming::icmp;
use super::judge::Port;
use super::part::Part;
use super::sets::BLOCKED;
use super::{FirewallPolicy, TableSpec};

/// What becomes of connections when a grant is closed before its time is over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnRevoke {
    /// They end.
    #[default]
    Terminate,
    /// They continue; new ones are refused.
    KeepExisting,
}

/// Ports that a host gets answers of DHCP at, from servers that it never asked by that address.
const DHCP: [u16; 2] = [68, 546];

impl TableSpec {
    /// Whether a connection to this port needs a grant. Only such may be blocked: a port that is open to
    /// everybody else must not be closed to one client.
    pub fn requires_grant(&self, transport: Transport, port: u16) -> bool {
        let here = |one: &PortRange| one.contains(transport, port);
        let protected = self.protected.is_empty() || self.protected.iter().any(here);
        let dhcp = transport == Transport::Udp && DHCP.contains(&port);
        let open = self.always_open.iter().any(here) || self.dedicated_knock_ports().any(here);
        self.policy != FirewallPolicy::None && protected && !open && !dhcp
    }

    /// Whether knocks arrive at this port, perhaps among other things.
    pub(crate) fn captures(&self, transport: Transport, port: u16) -> bool {
        self.knock_ports.iter().any(|ports| ports.contains(transport, port))
    }

    /// Sends packets of blocked flows to `block_in`, before anything else is asked of them.
    pub(super) fn blocked(port: Port) -> Vec<Rule> {
        let line = |(set, port)| Rule::goto([Match::In(set, port)], Part::BlockIn);
        families(port).map(line).collect()
    }

    /// The chain `block_in`.
    pub(super) fn block_in(&self) -> Vec<Rule> {
        self.as_closed()
    }

    /// The base chain `output`: what must not begin a flow, and what leaves for a blocked one.
    pub(super) fn output(&self) -> Vec<Rule> {
        let mut chain =
            vec![Rule::goto([Match::IntoLoopback, Match::FromLinkLocal], Part::IntoLoopback)];
        // Before the label is asked: it stays on the entry when the grant is closed. By its own port first: what was
        // dialled by another port ends with the grant for this one, too.
        chain.extend(Self::to_blocked(Port::Own));
        chain.push(Rule::goto([Match::Translated, Match::Reply], Part::TranslatedBack));
        // Also in an admitted flow: the network process begins none at a protected port.
        chain.extend(self.forbidden(Match::Forth));
        // The other direction, that of the peer, was admitted already.
        chain.push(Rule::accept([Match::Reply, IS_ADMITTED_FORTH]));
        chain.push(Rule::accept([Match::Forth, IS_ADMITTED_BACK]));
        // Behind the label: in a flow that a grant has admitted it may answer.
        chain.extend(self.forbidden(Match::Reply));
        chain.extend(self.admitted_by_sending());
        // Only a flow's first packet is called forged; whatever follows is judged by the label.
        chain.push(Rule::accept([Match::Confirmed]));
        // A local user may send in the name of a machine whose port is published (`forward`).
        let told = self.tells_forged_flows().into_iter();
        chain.extend(told.map(|item| Rule::accept([item, Match::NotFromLocal, CALL_FORGED])));
        chain
    }

    /// The chain `translated_back`.
    pub(super) fn translated_back() -> Vec<Rule> {
        Self::to_blocked(Port::Dialled)
    }

    /// The base chain `postrouting`: what this host sends on in its own name.
    pub(super) fn postrouting() -> Vec<Rule> {
        vec![Rule::goto([Match::SourceTranslated], Part::Masqueraded)]
    }

    /// The chain `masqueraded`: a host behind this one, whose port was published, sends first after its
    /// entry in conntrack was deleted. Its packet would begin a flow that the client belongs to.
    pub(super) fn masqueraded() -> Vec<Rule> {
        let line =
            |(set, port)| Rule::goto([Match::BackIn(set, port), Match::FromLocal], Part::BlockOut);
        families(Port::Own).map(line).collect()
    }

    fn to_blocked(port: Port) -> Vec<Rule> {
        let line = |(set, port)| Rule::goto([Match::BackIn(set, port)], Part::BlockOut);
        families(port).map(line).collect()
    }

    /// The chain `block_out`: all but resets, which are our own answers too, and what stays on this host. Its own
    /// address may be blocked: a local user can have had a grant for it.
    pub(super) fn block_out() -> Vec<Rule> {
        vec![
            Rule::new([Match::TcpReset], Verdict::Return),
            Rule::new([Match::IntoLoopback], Verdict::Return),
            Rule::new([], Verdict::Drop),
        ]
    }

    /// What this host sends from a protected port admits what its peer sends to that port: the peer needs no grant.
    /// Services may have to begin such flows. So does an answer, for the flow may have an entry already, which somebody
    /// has forged.
    ///
    /// From exactly the ports that need a grant: a flow at another one would still be admitted when a reload protects it.
    ///
    /// Only here it is certain that the host has sent it: a packet from the wire may name any source. And only
    /// with a source of its own: a local user may send in a stranger's name. An error message of ICMP belongs to the
    /// flow that it is about, and no program of the host may want that.
    fn admitted_by_sending(&self) -> Vec<Rule> {
        let udp = |ports: &&PortRange| ports.transport() == Transport::Udp;
        if !self.protected.is_empty() {
            let line = |&ports: &PortRange| {
                Rule::goto([Match::FromPorts(ports), Match::FromLocal], Part::AdmitAnswers)
            };
            return self.protected.iter().filter(udp).map(line).collect();
        }
        let tcp = Match::Protocol(Transport::Tcp.number());
        let open = self.always_open.iter().filter(udp);
        let open = open.map(|&ports| Rule::accept([Match::FromPorts(ports), Match::FromLocal]));
        let mut chain = vec![Rule::accept([tcp]), icmp(false), icmp(true)];
        chain.extend(open);
        chain.push(Rule::goto([Match::FromLocal], Part::AdmitAnswers));
        chain
    }

    /// The chain `admit_answers`: what the peer sends is admitted, and not the direction of this host's own packet. The
    /// host may give up its address, and another may send with it. What stays on this host is accepted without a label.
    ///
    /// The interface is the one from before a translation, so the address is asked for, too.
    pub(super) fn admit_answers() -> Vec<Rule> {
        vec![
            Rule::accept([Match::IntoLoopback, Match::ToLocal, CALL_WITHIN_HOST]),
            Rule::accept([Match::Forth, ADMIT_BACK]),
            Rule::accept([ADMIT_FORTH]),
        ]
    }

    /// The network process never has to begin a flow of UDP at a protected port, nor to answer in one that was not
    /// admitted.
    ///
    /// The rules of `output` that keep its user from it, in this direction. Answers to knocks are not tracked, so they
    /// have none.
    ///
    /// Where the kernel may choose the port for its resolver, questions for names pass. Where all traffic
    /// is closed, every port is protected, and its questions must leave from one.
    fn forbidden(&self, direction: Match) -> Vec<Rule> {
        let udp = self.protected.iter().filter(|ports| ports.transport() == Transport::Udp);
        let user = Match::SentBy { user: self.answers.user };
        let line = |&ports: &PortRange| {
            let from = Match::FromPorts(ports);
            if self.ephemeral.iter().any(|chosen| chosen.overlaps(&ports)) {
                Rule::new([from, Match::UdpNotTo(DNS), user, direction], Verdict::Drop)
            } else {
                Rule::new([from, user, direction], Verdict::Drop)
            }
        };
        udp.map(line).collect()
    }
}

fn families(port: Port) -> impl Iterator<Item = (AddressSet, PortOf)> {
    let each = move |set| port.each().into_iter().map(move |port| (set, port));
    BLOCKED.into_iter().flat_map(each)
}
