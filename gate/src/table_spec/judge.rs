//! What needs a grant, and what becomes of a packet without one. A packet that conntrack calls new, or a SYN
//! whatever conntrack calls it, needs a grant of its own. Pure.
//!
//! The same is asked twice: by a packet's own port, and by the port as dialled where somebody has
//! translated it. nft 1.0.6 reads `ct original proto-dst` only after `meta l4proto tcp` or `udp`, so
//! there each line stands for both: what `nft list` prints must load.

use sknock_netfilter::nft::rule::{AddressSet, Field, Match, PortOf, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::flow_labels::{ADMIT_BACK, ADMIT_FORTH};
use super::part::Part;
use super::sets::{BEGUN, USED};
use super::{FirewallPolicy, TableSpec};
use crate::grant_key::GrantSet;

/// By the packet's own port, or by the port as dialled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Port {
    Own,
    Dialled,
}

impl Port {
    pub(super) fn each(self) -> Vec<PortOf> {
        match self {
            Self::Own => vec![PortOf::Packet],
            Self::Dialled => [Transport::Tcp, Transport::Udp].map(PortOf::Original).to_vec(),
        }
    }

    fn of_tcp(self) -> PortOf {
        match self {
            Self::Own => PortOf::Packet,
            Self::Dialled => PortOf::Original(Transport::Tcp),
        }
    }

    fn within(self, ports: PortRange) -> Match {
        match self {
            Self::Own => Match::Ports(ports),
            Self::Dialled => Match::OriginalPorts(ports),
        }
    }

    fn granted(self) -> Part {
        match self {
            Self::Own => Part::Granted,
            Self::Dialled => Part::TranslatedGranted,
        }
    }
}

impl TableSpec {
    /// Sends to `target` what needs a grant, of this transport. What is left is accepted, or judged by its
    /// own port, where only some ports are protected.
    pub(super) fn needs_grant(&self, port: Port, transport: Transport, target: Part) -> Vec<Rule> {
        let of = |ranges: &[PortRange]| {
            let ours = ranges.iter().filter(|range| range.transport() == transport);
            ours.map(|&range| port.within(range)).collect::<Vec<_>>()
        };
        if !self.protected.is_empty() {
            let protected = of(&self.protected).into_iter();
            return protected.map(|ports| Rule::goto([ports], target)).collect();
        }
        let open = match port {
            Port::Own => Verdict::Accept,
            // Back to `input`, where its own port is judged, which may need a grant.
            Port::Dialled => Verdict::Return,
        };
        let always_open = of(&self.always_open).into_iter();
        let mut lines: Vec<Rule> = always_open.map(|ports| Rule::new([ports], open)).collect();
        lines.push(Rule::goto([Match::Protocol(transport.number())], target));
        lines
    }

    /// Asks for any grant: of TCP, as grants for single use are. A SYN that repeats the one that used up
    /// such a grant passes: its answer may have been lost.
    pub(super) fn judge(port: Port) -> Vec<Rule> {
        let mut chain = vec![Rule::accept([Match::SynIn(BEGUN)])];
        for (set, used) in [GrantSet::Single4, GrantSet::Single6].into_iter().zip(USED) {
            let (set, port) = (AddressSet::from(set), port.of_tcp());
            let consume = Match::ConsumeElement(set, port);
            chain.push(Rule::goto(
                // In this order: a packet without a grant must not fill `used`, and `delete` does not tell
                // whether it has found the element, so of packets on two processors only `First` lets one
                // pass.
                [Match::In(set, port), Match::First(used, port), consume],
                Part::Admit,
            ));
        }
        chain.push(Rule::goto([], port.granted()));
        chain
    }

    /// Asks for a grant that is not for single use. What has one admits its direction of the flow.
    pub(super) fn granted(port: Port) -> Vec<Rule> {
        let mut chain: Vec<Rule> = [GrantSet::Grant4, GrantSet::Grant6]
            .into_iter()
            .flat_map(|set| port.each().into_iter().map(move |port| Match::In(set.into(), port)))
            .map(|item| Rule::goto([item], Part::AdmitReceived))
            .collect();
        chain.push(Rule::goto([], Part::Refuse));
        chain
    }

    /// The chain `admit_received`: what has a grant admits what follows in its direction, and not the other one. Who holds
    /// an address is asked for a grant by that address, and the host may swap addresses with others.
    pub(super) fn admit_received() -> Vec<Rule> {
        vec![Rule::accept([Match::Forth, ADMIT_FORTH]), Rule::accept([ADMIT_BACK])]
    }

    /// Admits what was first. Without room to remember it, a repetition is refused.
    pub(super) fn admit() -> Vec<Rule> {
        vec![Rule::accept([Match::AddSyn(BEGUN)]), Rule::new([], Verdict::Accept)]
    }

    /// The chain `refuse`.
    ///
    /// With `reject`, nothing answers a packet that the kernel has on a live entry, such as a forged
    /// SYN: from Linux 6.3 on, a reset would end that connection.
    pub(super) fn refuse(&self) -> Vec<Rule> {
        let mut chain = Vec::new();
        if self.policy == FirewallPolicy::Reject {
            chain.push(Rule::new([Match::Established], Verdict::Drop));
        }
        chain.extend(self.as_closed());
        chain
    }

    /// As a port where nobody listens answers; with `drop`, not at all.
    pub(super) fn as_closed(&self) -> Vec<Rule> {
        match self.policy {
            FirewallPolicy::None => Vec::new(),
            FirewallPolicy::Drop => vec![Rule::new([], Verdict::Drop)],
            FirewallPolicy::Reject => Self::unreachable(),
        }
    }

    /// No host answers what was sent to all.
    fn unreachable() -> Vec<Rule> {
        let tcp = Match::Protocol(Transport::Tcp.number());
        vec![
            // As the kernel does itself (RFC 1122, 3.2.2 and 4.2.3.10).
            Rule::new([Match::NotToHost], Verdict::Drop),
            // Nothing of TCP is answered there by any port, open or closed.
            Rule::new([tcp, Match::Family(true), Match::ToAnycast], Verdict::Drop),
            Rule::new([tcp], Verdict::Reset),
            Rule::new([], Verdict::Unreachable),
        ]
    }

    /// The base chain `resets`, with `reject`. The kernel's resets for ports without a listener echo
    /// the traffic class, and in IPv6 the flow label; those of a `reject` do not. Made alike, they do
    /// not tell a protected port from a closed one.
    pub(super) fn resets() -> Vec<Rule> {
        vec![Rule::goto([Match::TcpReset], Part::PlainReset)]
    }

    /// The chain `plain_reset`. A reset of an open connection is left as it is.
    pub(super) fn plain_reset() -> Vec<Rule> {
        vec![
            Rule::accept([Match::OfOpenSocket]),
            Rule::new([], Verdict::Clear(Field::V4Dscp)),
            Rule::new([], Verdict::Clear(Field::V4Ecn)),
            Rule::new([Match::Family(true)], Verdict::Clear(Field::V6Class)),
        ]
    }
}
