//! Packets that the kernel delivers to this host, whatever their destination address is: `input` filters them. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use sknock_netfilter::nft::rule::{Match, Rule, Verdict};
use sknock_types::{PortRange, Transport};

use super::chain_kind::ChainKind;
use super::flow_labels::{IS_ADMITTED_ORIGINAL, IS_ADMITTED_REPLY};
use super::grant_rules::Port;
use super::{FirewallPolicy, TableSpec};

/// IP protocol numbers.
const ICMP: u8 = 1;
const DCCP: u8 = 33;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;

/// The multicast address of `DHCPv6` servers (RFC 8415, 7.1).
const DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// The multicast addresses of mDNS (RFC 6762, 3).
const MDNS4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

impl TableSpec {
    /// The base chain `input`.
    ///
    /// A SYN leaves the chain before the conntrack state is tested: an entry outlives its connection, and a SYN that
    /// matches the entry has the state "established".
    pub(super) fn input(&self) -> Vec<Rule> {
        // Only from an address of this host: a local user may send from other ones.
        // Of link-local sources, `into_loopback` has passed only the own ones.
        let own = [Match::FromLocal, Match::FromLinkLocal];
        let own = own.map(|one| Rule::accept([Match::FromLoopback, one]));
        let mut chain = own.to_vec();
        chain.extend(self.at_knock_ports());
        if self.policy == FirewallPolicy::None {
            return chain;
        }
        // By the own port first: `translated` may accept the packet by the dialled port, and then no rule follows.
        chain.extend(Self::blocked(Port::Own));
        // A port that is not protected may lead to one that is.
        chain.push(Rule::new(
            [Match::DestinationTranslated],
            Verdict::Jump(ChainKind::Translated.into()),
        ));
        chain.push(Rule::goto([Match::Syn], ChainKind::TcpSyn));
        chain.extend(self.to_own_datagrams());
        chain.extend(Self::admitted());
        chain.push(Rule::accept([Match::Reply, IS_ADMITTED_REPLY]));
        chain.push(Rule::goto([tcp()], ChainKind::TcpMidstream));
        chain.extend(self.anycast_datagrams());
        if self.protected.is_empty() {
            chain.extend(other_than_tcp());
        } else {
            chain.extend(self.beyond_protected(Transport::Udp));
            chain.push(Rule::goto([], ChainKind::Datagrams));
        }
        chain
    }

    /// The rules for packets of admitted flows, each for one direction. Packets in both directions prove nothing: one
    /// sender can forge both, with addresses that this host has, or will have. TCP without a socket gets a reset at
    /// most.
    ///
    /// Of the reply direction, `translated` has sent everything elsewhere before.
    fn admitted() -> [Rule; 2] {
        [
            Rule::accept([tcp(), Match::Established]),
            Rule::accept([Match::Original, IS_ADMITTED_ORIGINAL]),
        ]
    }

    /// The chain `tcp_syn`.
    pub(super) fn tcp_syn(&self) -> Vec<Rule> {
        let mut chain = self.beyond_protected(Transport::Tcp);
        chain.extend(self.needs_grant(Port::Own, Transport::Tcp, ChainKind::AnyGrant));
        chain
    }

    /// The chain `tcp_midstream`: conntrack has lost the entry, or does not track the packet. The kernel's
    /// own table of connections decides, as without a firewall.
    pub(super) fn tcp_midstream(&self) -> Vec<Rule> {
        let mut chain = self.beyond_protected(Transport::Tcp);
        // Early demux looks for open connections and half-open handshakes only: that a listener exists lets
        // no packet pass.
        chain.push(Rule::accept([Match::OfOpenSocket]));
        chain.extend(self.needs_grant(Port::Own, Transport::Tcp, ChainKind::Granted));
        chain
    }

    /// The chain `datagrams`: UDP outside admitted flows, or from the wire with an own address as source. In deny-all
    /// mode, DHCP and mDNS are exceptions: answers that belong to no flow, and queries to all hosts of the link.
    pub(super) fn datagrams(&self) -> Vec<Rule> {
        let needs_grant = self.needs_grant(Port::Own, Transport::Udp, ChainKind::Granted);
        if !self.protected.is_empty() {
            return needs_grant;
        }
        let mut chain = vec![
            // From any source: the answer may come from a server behind a relay (RFC 2131, 4.1; RFC 8415,
            // 7.2).
            Rule::accept([Match::Family(false), Match::UdpBetween { from: 67, to: 68 }]),
            Rule::accept([Match::Family(true), Match::UdpBetween { from: 547, to: 546 }]),
            Rule::accept([
                // A client without an address asks by broadcast (RFC 2131, 4.1), in IPv6 by the multicast
                // address of all servers.
                Match::ToV4(Ipv4Addr::BROADCAST),
                Match::UdpBetween { from: 68, to: 67 },
            ]),
            Rule::accept([Match::ToV6(DHCP_SERVERS), Match::UdpTo(547)]),
            Rule::accept([Match::ToV4(MDNS4), Match::UdpTo(5353)]),
            Rule::accept([Match::ToV6(MDNS6), Match::UdpTo(5353)]),
        ];
        chain.extend(needs_grant);
        chain
    }

    /// The chain `translated`, from `input` and from `forward`. A packet without a verdict returns to `input`, which
    /// filters it by its own port. In `forward` it passes: there its own port is another host's.
    pub(super) fn translated(&self) -> Vec<Rule> {
        let mut chain = vec![
            // By its own port: this host has dialled a port of another host.
            Rule::goto([Match::Syn, Match::Reply], ChainKind::TcpSyn),
            Rule::goto([Match::Reply], ChainKind::TranslatedBack),
        ];
        chain.extend(Self::blocked(Port::Dialled));
        chain.extend([
            Rule::goto([Match::Syn], ChainKind::TranslatedSyn),
            // This host's own datagrams come only over `lo`, and `input` has accepted them.
            Rule::goto([udp(), Match::FromLocal], ChainKind::Refuse),
        ]);
        chain.extend(Self::admitted());
        chain.extend([icmp(false), icmp(true), Rule::accept([tcp(), Match::OfOpenSocket])]);
        let dialled = |transport, part| self.needs_grant(Port::Dialled, transport, part);
        chain.extend(dialled(Transport::Tcp, ChainKind::TranslatedGranted));
        chain.extend(dialled(Transport::Udp, ChainKind::TranslatedGranted));
        if self.protected.is_empty() {
            chain.push(Rule::goto([], ChainKind::Refuse));
        }
        chain
    }

    /// The chain `translated_syn`.
    pub(super) fn translated_syn(&self) -> Vec<Rule> {
        self.needs_grant(Port::Dialled, Transport::Tcp, ChainKind::TranslatedAnyGrant)
    }

    /// Accepts ports below and above the protected ones of this transport; all, if it has none. No rules in deny-all
    /// mode.
    pub(super) fn beyond_protected(&self, transport: Transport) -> Vec<Rule> {
        if self.protected.is_empty() {
            return Vec::new();
        }
        let ours = || self.protected.iter().filter(|one| one.transport() == transport);
        let lowest = ours().map(PortRange::first).min();
        let highest = ours().map(PortRange::last).max();
        let (Some(lowest), Some(highest)) = (lowest, highest) else {
            return vec![Rule::accept([Match::Protocol(transport.number())])];
        };
        let below = (lowest > 1).then_some(Match::Below(transport, lowest));
        let above = (highest < u16::MAX).then_some(Match::Above(transport, highest));
        below.into_iter().chain(above).map(|item| Rule::accept([item])).collect()
    }
}

fn udp() -> Match {
    Match::Protocol(Transport::Udp.number())
}

fn tcp() -> Match {
    Match::Protocol(Transport::Tcp.number())
}

/// Accepts the ICMP of this family. In the other family, its number is a protocol that this host does not support.
pub(super) fn icmp(v6: bool) -> Rule {
    Rule::accept([Match::Protocol(if v6 { ICMPV6 } else { ICMP }), Match::Family(v6)])
}

/// The rules of deny-all mode for protocols other than TCP: ICMP passes, and so does multicast of protocols without
/// ports (IGMP, OSPF, VRRP). A protocol with ports is a service.
fn other_than_tcp() -> Vec<Rule> {
    let mut lines = vec![
        icmp(false),
        icmp(true),
        Rule::goto([Match::Protocol(Transport::Udp.number())], ChainKind::Datagrams),
    ];
    let with_ports = [UDPLITE, DCCP, SCTP];
    lines.extend(with_ports.map(|number| Rule::goto([Match::Protocol(number)], ChainKind::Refuse)));
    lines.extend([false, true].map(|v6| Rule::accept([Match::ToMulticast { v6 }])));
    lines.push(Rule::goto([], ChainKind::Refuse));
    lines
}
