//! Which packets need a grant, and what happens to a packet without one. A packet outside an admitted flow needs a
//! grant of its own, and so does every SYN, whatever its conntrack state is. Pure.
//!
//! The rules exist twice: for a packet's own port, and for the dialled port of a translated packet. nft 1.0.6 reads
//! `ct original proto-dst` only after `meta l4proto tcp` or `udp`. So the dialled port needs two rules, one for each
//! transport: nft must be able to load what `nft list` prints.

use sknock_netfilter::nft::rule::{AddressSet, Field, Match, PortOf, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::chain_kind::ChainKind;
use super::flow_labels::{ADMIT_ORIGINAL, ADMIT_REPLY};
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

    fn granted(self) -> ChainKind {
        match self {
            Self::Own => ChainKind::Granted,
            Self::Dialled => ChainKind::TranslatedGranted,
        }
    }
}

impl TableSpec {
    /// The rules that lead packets of this transport to `target` if they need a grant. With `protectedPorts`, others
    /// continue behind these rules. In deny-all mode, others are accepted; by the dialled port, they return to
    /// `input`.
    pub(super) fn needs_grant(
        &self,
        port: Port,
        transport: Transport,
        target: ChainKind,
    ) -> Vec<Rule> {
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
            // Back to `input`: its own port may need a grant.
            Port::Dialled => Verdict::Return,
        };
        let always_open = of(&self.always_open).into_iter();
        let mut lines: Vec<Rule> = always_open.map(|ports| Rule::new([ports], open)).collect();
        lines.push(Rule::goto([Match::Protocol(transport.number())], target));
        lines
    }

    /// Looks up any grant, for TCP, as only TCP has single-use grants. A SYN that repeats the one that used up such a
    /// grant passes: its answer may have been lost.
    pub(super) fn any_grant(port: Port) -> Vec<Rule> {
        let mut chain = vec![Rule::accept([Match::SynIn(BEGUN)])];
        for (set, used) in [GrantSet::Single4, GrantSet::Single6].into_iter().zip(USED) {
            let (set, port) = (AddressSet::from(set), port.of_tcp());
            let consume = Match::ConsumeElement(set, port);
            chain.push(Rule::goto(
                // In this order: a packet without a grant must not fill `used`. `delete` does not report whether it
                // has found the element, so `First` selects one of the packets that several processors handle.
                [Match::In(set, port), Match::First(used, port), consume],
                ChainKind::Admit,
            ));
        }
        chain.push(Rule::goto([], port.granted()));
        chain
    }

    /// Looks up a grant for many connections. A packet with such a grant admits its direction of the flow.
    pub(super) fn granted(port: Port) -> Vec<Rule> {
        let mut chain: Vec<Rule> = [GrantSet::Grant4, GrantSet::Grant6]
            .into_iter()
            .flat_map(|set| port.each().into_iter().map(move |port| Match::In(set.into(), port)))
            .map(|item| Rule::goto([item], ChainKind::AdmitReceived))
            .collect();
        chain.push(Rule::goto([], ChainKind::Refuse));
        chain
    }

    /// The chain `admit_received`: a packet with a grant admits later packets in its direction, and not in the other
    /// one: the host may swap addresses with another host, whose packets need a grant of their own.
    pub(super) fn admit_received() -> Vec<Rule> {
        vec![Rule::accept([Match::Original, ADMIT_ORIGINAL]), Rule::accept([ADMIT_REPLY])]
    }

    /// Accepts the packet that `First` has selected. If `begun` has no room for it, a repetition of the SYN is
    /// refused.
    pub(super) fn admit() -> Vec<Rule> {
        vec![Rule::accept([Match::AddSyn(BEGUN)]), Rule::new([], Verdict::Accept)]
    }

    /// The chain `refuse`.
    ///
    /// With `reject`, the kernel does not answer a packet with a live conntrack entry, such as a forged SYN: from
    /// Linux 6.3 on, a reset would end that connection.
    pub(super) fn refuse(&self) -> Vec<Rule> {
        let mut chain = Vec::new();
        if self.policy == FirewallPolicy::Reject {
            chain.push(Rule::new([Match::Established], Verdict::Drop));
        }
        chain.extend(self.as_closed());
        chain
    }

    /// The answer of a closed port; with `drop`, none.
    pub(super) fn as_closed(&self) -> Vec<Rule> {
        match self.policy {
            FirewallPolicy::None => Vec::new(),
            FirewallPolicy::Drop => vec![Rule::new([], Verdict::Drop)],
            FirewallPolicy::Reject => Self::unreachable(),
        }
    }

    /// No host answers a broadcast or multicast packet.
    fn unreachable() -> Vec<Rule> {
        let tcp = Match::Protocol(Transport::Tcp.number());
        vec![
            // As the kernel does itself (RFC 1122, 3.2.2 and 4.2.3.10).
            Rule::new([Match::NotToHost], Verdict::Drop),
            // At an anycast address no port answers TCP, open or closed.
            Rule::new([tcp, Match::Family(true), Match::ToAnycast], Verdict::Drop),
            Rule::new([tcp], Verdict::Reset),
            Rule::new([], Verdict::Unreachable),
        ]
    }

    /// The base chain `resets`, with `reject`. The kernel's resets for ports without a listener echo
    /// the traffic class, and in IPv6 the flow label; those of a `reject` do not. Made alike, they do
    /// not tell a protected port from a closed one.
    pub(super) fn resets() -> Vec<Rule> {
        vec![Rule::goto([Match::TcpReset], ChainKind::PlainReset)]
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
