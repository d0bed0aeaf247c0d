//! How the table ends connections of blocked flows. Pure.
//!
//! To delete a conntrack entry is not enough: the server's next packet would make a new one, in the other
//! direction, and the client's packets would belong to that. So packets of blocked flows are dropped in
//! both directions, before established connections are accepted.

use sknock_netfilter::nft::rule::{AddressSet, Match, PortOf, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::capture::DNS;
use super::chain_kind::ChainKind;
use super::flow_labels::{
    ADMIT_ORIGINAL, ADMIT_REPLY, IS_ADMITTED_ORIGINAL, IS_ADMITTED_REPLY, IS_WITHIN_HOST,
    SET_WITHIN_HOST,
};
use super::grant_rules::Port;
use super::incoming::icmp;
use super::sets::BLOCKED;
use super::{FirewallPolicy, TableSpec};

/// What happens to the connections of a grant that is closed early.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnRevoke {
    /// They end.
    #[default]
    Terminate,
    /// They continue; new ones are refused.
    KeepExisting,
}

/// Ports of DHCP clients. A DHCP answer may come from an address to which the client has sent no packet.
const DHCP: [u16; 2] = [68, 546];

impl TableSpec {
    /// Whether a connection to this port needs a grant. Only flows to such ports may be blocked: a port that needs no
    /// grant must not be closed to one client.
    pub fn requires_grant(&self, transport: Transport, port: u16) -> bool {
        let here = |one: &PortRange| one.contains(transport, port);
        let protected = self.protected.is_empty() || self.protected.iter().any(here);
        let dhcp = transport == Transport::Udp && DHCP.contains(&port);
        let open = self.always_open.iter().any(here) || self.dedicated_knock_ports().any(here);
        self.policy != FirewallPolicy::None && protected && !open && !dhcp
    }

    /// Whether this is a knock port, perhaps with other services.
    pub(crate) fn captures(&self, transport: Transport, port: u16) -> bool {
        self.knock_ports.iter().any(|ports| ports.contains(transport, port))
    }

    /// The rules that lead packets of blocked flows to `block_in`. They come before other rules for flows.
    pub(super) fn blocked(port: Port) -> Vec<Rule> {
        let line = |(set, port)| Rule::goto([Match::In(set, port)], ChainKind::BlockIn);
        families(port).map(line).collect()
    }

    /// The chain `block_in`.
    pub(super) fn block_in(&self) -> Vec<Rule> {
        self.as_closed()
    }

    /// The base chain `output`: drops packets to blocked flows and UDP that the network process must not send, and
    /// labels flows in which this host sends.
    pub(super) fn output(&self) -> Vec<Rule> {
        let mut chain =
            vec![Rule::goto([Match::IntoLoopback, Match::FromLinkLocal], ChainKind::IntoLoopback)];
        // Before the label is tested, which stays on the entry when the grant is closed. By the own port first: a
        // flow that was dialled by another port ends with the grant for the own one, too.
        chain.extend(Self::to_blocked(Port::Own));
        chain.push(Rule::goto(
            [Match::DestinationTranslated, Match::Reply],
            ChainKind::TranslatedBack,
        ));
        // Also in an admitted flow: the network process begins none at a protected port.
        chain.extend(self.forbidden(Match::Original));
        // The other direction, that of the peer, was admitted already.
        chain.push(Rule::accept([Match::Reply, IS_ADMITTED_ORIGINAL]));
        chain.push(Rule::accept([Match::Original, IS_ADMITTED_REPLY]));
        // After the label is tested: in a flow that a grant has admitted, the network process may answer.
        chain.extend(self.forbidden(Match::Reply));
        chain.extend(self.admitted_by_sending());
        // A local user may send from the address of a machine whose port is published. Such a flow, which `forward` takes
        // for forged, would keep the packets of a client with a grant out. IPv4 permits it only to root.
        let foreign = |ports| [Match::Family(true), Match::FromPorts(ports), Match::NotFromLocal];
        let lines: Vec<Rule> =
            self.protected_udp().map(|ports| Rule::new(foreign(ports), Verdict::Drop)).collect();
        if !lines.is_empty() {
            chain.push(Rule::accept([Match::Confirmed]));
            chain.extend(lines);
        }
        chain
    }

    /// The chain `translated_back`.
    pub(super) fn translated_back() -> Vec<Rule> {
        Self::to_blocked(Port::Dialled)
    }

    /// The base chain `postrouting`: what this host sends on in its own name.
    pub(super) fn postrouting() -> Vec<Rule> {
        vec![Rule::goto([Match::SourceTranslated], ChainKind::Masqueraded)]
    }

    /// The chain `masqueraded`: a host behind this one, whose port was published, sends first after its
    /// entry in conntrack was deleted. Its packet would begin a flow that the client belongs to.
    pub(super) fn masqueraded() -> Vec<Rule> {
        let line = |(set, port)| {
            Rule::goto([Match::BackIn(set, port), Match::FromLocal], ChainKind::BlockOut)
        };
        families(Port::Own).map(line).collect()
    }

    fn to_blocked(port: Port) -> Vec<Rule> {
        let line = |(set, port)| Rule::goto([Match::BackIn(set, port)], ChainKind::BlockOut);
        families(port).map(line).collect()
    }

    /// The chain `block_out`: drops all packets except resets, which the table itself sends, too, and packets over
    /// `lo`: the host's own address may be blocked, because a local user can have had a grant for it.
    pub(super) fn block_out() -> Vec<Rule> {
        vec![
            Rule::new([Match::TcpReset], Verdict::Return),
            Rule::new([Match::IntoLoopback], Verdict::Return),
            Rule::new([], Verdict::Drop),
        ]
    }

    /// A packet that this host sends from a protected port admits the packets of its peer to that port: the peer
    /// needs no grant. Services may have to begin such flows. An answer admits them, too, because a forged packet may
    /// have made the conntrack entry before.
    ///
    /// Only from the ports that need a grant: a flow at another port would still be admitted when a reload protects
    /// it.
    ///
    /// Only this hook proves that the host has sent the packet: a packet from the wire may have any source. The
    /// source must be an own address, because a local user may send from other ones. An ICMP error belongs to the
    /// flow that it reports, and the kernel may send it without any program of the host.
    fn admitted_by_sending(&self) -> Vec<Rule> {
        if !self.protected.is_empty() {
            let line = |ports| {
                Rule::goto([Match::FromPorts(ports), Match::FromLocal], ChainKind::AdmitAnswers)
            };
            return self.protected_udp().map(line).collect();
        }
        let udp = |ports: &&PortRange| ports.transport() == Transport::Udp;
        let tcp = Match::Protocol(Transport::Tcp.number());
        let open = self.always_open.iter().filter(udp);
        let open = open.map(|&ports| Rule::accept([Match::FromPorts(ports), Match::FromLocal]));
        let mut chain = vec![Rule::accept([tcp]), icmp(false), icmp(true)];
        chain.extend(open);
        chain.push(Rule::goto([Match::FromLocal], ChainKind::AdmitAnswers));
        chain
    }

    /// The chain `admit_answers`: admits the direction of the peer's packets, and not that of this host's own packet:
    /// another host may get this host's address. Packets that stay on this host admit neither direction.
    ///
    /// The interface is the one before a translation, so the rule tests the address, too.
    pub(super) fn admit_answers() -> Vec<Rule> {
        vec![
            Rule::accept([Match::IntoLoopback, Match::ToLocal, SET_WITHIN_HOST]),
            Rule::accept([IS_WITHIN_HOST]),
            Rule::accept([Match::Original, ADMIT_REPLY]),
            Rule::accept([ADMIT_ORIGINAL]),
        ]
    }

    /// The rules of `output` that drop UDP of the network process's user from protected ports, in this direction. The
    /// process never has to begin such a flow, nor to answer in one that was not admitted. Answers to knocks are not
    /// tracked: they have no direction, and pass.
    ///
    /// If the kernel may choose the port for the resolver, DNS queries pass. In deny-all mode there are no such
    /// rules: every port is protected, and DNS queries must leave from one.
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
