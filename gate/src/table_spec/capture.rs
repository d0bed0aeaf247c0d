//! How knocks get from the network to the network process, and how many one source may send. Pure.
//!
//! The base chain `knocks` finds datagrams of a knock's length at a knock port before conntrack does.
//! With NFLOG it copies them; for a socket it marks them as untracked, and `input` lets only such
//! through to the socket. Neither they nor our answers leave an entry in conntrack: an entry would let
//! the client reach whatever service is at that port later.

use std::time::Duration;

use sknock_netfilter::nft::rule::{AddressSet, Match, Rule, Verdict};
use sknock_netfilter::nft::set::{Expiry, SetKey, SetSpec};
use sknock_types::PortRange;

use super::chain_kind::ChainKind;
use super::sets::{KNOCK_RATE, KNOCK_TAGS, TAGS_LOADED};
use super::{FirewallPolicy, TableSpec};

/// How knocks reach the network process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KnockCapture {
    /// A bound UDP socket receives them.
    Socket,
    /// The kernel sends a copy to this NFLOG group, and then treats the knock like any datagram to a closed
    /// port: no program receives it.
    Log {
        /// A process that [listens to the group](sknock_netfilter::nflog::bind_group) gets the copies.
        group: u16,
    },
}

/// How many knocks one source may send: an IPv4 address, or an IPv6 network of 64 bits.
///
/// The kernel cannot verify a source: to suppress a client's knocks, an attacker must send at this rate with the
/// client's address. When the set has no room for another source, further ones are not limited: forged sources cannot
/// displace honest ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SourceLimit {
    /// In the long run; at least 1.
    pub per_second: u32,
    /// At one time; at least 1.
    pub burst: u32,
    /// How many sources of each family are remembered; each takes about 200 bytes of the kernel's
    /// memory.
    pub sources: u32,
}

impl SourceLimit {
    /// How long the kernel remembers a source after its last knock: longer than an empty token bucket takes to fill
    /// up. Otherwise a source that is forgotten would gain tokens.
    pub fn retention(&self) -> Duration {
        let refill = self.burst.div_ceil(self.per_second.max(1));
        Duration::from_secs(u64::from(refill) + 1)
    }

    /// The set in which the kernel remembers sources of one family.
    pub(super) fn set(&self, set: AddressSet, gc_interval: Duration) -> SetSpec {
        let key = if set.v6 { SetKey::Address6 } else { SetKey::Address4 };
        let expiry = Some(Expiry { timeout: Some(self.retention()), gc_interval });
        SetSpec { name: set.name, key, dynamic: true, size: self.sources, expiry }
    }
}

/// The properties of outgoing answers to knocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answers {
    /// The UDP header's length field, which counts the header.
    pub udp_length: u16,
    /// The user whose processes send them.
    pub user: u32,
}

/// The port of DNS servers, to which the same user sends queries.
pub(super) const DNS: u16 = 53;

impl TableSpec {
    /// Where knocks are captured: after fragments are put together, before conntrack.
    pub const KNOCKS_PRIORITY: i32 = libc::NF_IP_PRI_RAW;

    /// The base chain `knocks`.
    ///
    /// The rules test with the routing table whether the destination is an own address. If the table lacks that
    /// address, the knock is lost.
    pub(super) fn knocks(&self) -> Vec<Rule> {
        self.knock_ports.iter().flat_map(|&ports| self.knocks_at(ports)).collect()
    }

    fn knocks_at(&self, ports: PortRange) -> Vec<Rule> {
        let here = Match::Ports(ports);
        let knock = [here, Match::UdpLength(self.knock_lengths), Match::ToLocal];
        let mut lines: Vec<Rule> = self.without_tag(ports).into_iter().collect();
        lines.push(Rule::new(knock, Verdict::Jump(ChainKind::KnockMeter.into())));
        if self.drops_early(ports) {
            // `input` would drop it too; here it costs less.
            lines.push(Rule::new([Match::NotFromLoopback, here, Match::ToLocal], Verdict::Drop));
        }
        lines
    }

    /// Whether the table tests tags.
    pub(crate) fn filters_by_tags(&self) -> bool {
        self.tagged_length.is_some() && !self.knock_ports.is_empty()
    }

    /// Whether `knocks` drops all other packets from the wire to these knock ports.
    pub(super) fn drops_early(&self, ports: PortRange) -> bool {
        self.policy == FirewallPolicy::Drop
            && self.is_dedicated_knock_port(ports)
            && self.covers(ports)
    }

    /// As long as the kernel has all tags in force, a datagram without one of them is no knock. The rules treat it
    /// like a datagram of another length. The cheapest test comes first: the routing table is used only before a
    /// drop.
    fn without_tag(&self, ports: PortRange) -> Option<Rule> {
        let length = self.tagged_length?;
        let untagged = [
            Match::Ports(ports),
            Match::UdpLength((length, length)),
            Match::FamilyIn(TAGS_LOADED),
            Match::TagNotIn(KNOCK_TAGS),
        ];
        let verdict = if self.drops_early(ports) {
            Verdict::Goto(ChainKind::KnockUntagged.into())
        } else {
            Verdict::Return
        };
        Some(Rule::new(untagged, verdict))
    }

    /// The chain `knock_untagged`. Packets to other hosts pass.
    pub(super) fn knock_untagged() -> Vec<Rule> {
        vec![Rule::new([Match::NotFromLoopback, Match::ToLocal], Verdict::Drop)]
    }

    /// The chain `knock_meter`: does not capture a knock beyond the rate of its source.
    ///
    /// It does not capture a knock from the wire whose source no client has, either: an address of this host,
    /// loopback, broadcast, or anycast. The answer would go to a service of this host, or to many hosts.
    pub(super) fn knock_meter(&self) -> Vec<Rule> {
        let by_wire = Match::NotFromLoopback;
        let mut chain = vec![
            Rule::new([by_wire, Match::FromLocal], Verdict::Return),
            Rule::new([by_wire, Match::Family(false), Match::FromBroadcast], Verdict::Return),
            Rule::new([by_wire, Match::Family(true), Match::FromAnycast], Verdict::Return),
        ];
        if let Some(SourceLimit { per_second, burst, .. }) = self.source_limit {
            // A program of this host may send from any address: it must not use up a client's rate.
            chain.extend(KNOCK_RATE.map(|set| {
                let over = Match::OverRate { set, per_second, burst };
                Rule::new([by_wire, over], Verdict::Return)
            }));
        }
        match self.capture {
            KnockCapture::Socket => {
                chain.push(Rule::new([], Verdict::Untrack));
                chain.push(Rule::accept([]));
            }
            KnockCapture::Log { group } => {
                let snaplen = self.snaplen();
                chain.push(Rule::new([], Verdict::Log { group, snaplen }));
            }
        }
        chain
    }

    /// The rules of `input` for dedicated knock ports.
    pub(super) fn at_knock_ports(&self) -> Vec<Rule> {
        let line = |&ports: &PortRange| match (self.capture, self.covers(ports)) {
            (KnockCapture::Socket, true) => Some(ChainKind::Knock),
            (KnockCapture::Socket, false) => Some(ChainKind::KnockUnprotected),
            (KnockCapture::Log { .. }, true) => Some(ChainKind::Refuse),
            // Nothing listens there: `knock_closed`.
            (KnockCapture::Log { .. }, false) => None,
        };
        let ports = self.dedicated_knock_ports();
        ports.filter_map(|ports| Some(Rule::goto([Match::Ports(*ports)], line(ports)?))).collect()
    }

    /// The base chain `knock_closed`. Nothing listens at these ports, so the kernel would refuse what comes; but first it
    /// makes a conntrack entry, and what is refused here leaves none. Untracked, no error would come back through a
    /// firewall that goes by states, nor for some packets with IP options, as it does at other ports.
    ///
    /// Only plain datagrams: the kernel knows best what it does with others.
    pub(super) fn knock_closed(&self) -> Vec<Rule> {
        let lengths = self.knock_lengths;
        let open = self.dedicated_knock_ports().filter(|&&ports| !self.covers(ports));
        let plain = |&ports: &PortRange| {
            [false, true].map(|v6| {
                let plain = [
                    Match::PlainUdp { v6, lengths },
                    Match::Ports(ports),
                    Match::UdpLength(lengths),
                    Match::UdpChecksum,
                ];
                Rule::goto(plain, ChainKind::KnockUnprotected)
            })
        };
        open.flat_map(plain).collect()
    }

    /// The chain `knock`, with a socket at a port that the policy closes.
    pub(super) fn knock(&self) -> Vec<Rule> {
        vec![self.to_socket(), Rule::goto([], ChainKind::Refuse)]
    }

    /// The chain `knock_unprotected`, at a port that the policy leaves open: packets that are not for a socket of
    /// ours are refused as at a closed port.
    pub(super) fn knock_unprotected(&self) -> Vec<Rule> {
        let mut chain =
            vec![Rule::new([Match::NotToHost], Verdict::Drop), Rule::new([], Verdict::Unreachable)];
        if self.capture == KnockCapture::Socket {
            chain.insert(0, self.to_socket());
        }
        chain
    }

    fn to_socket(&self) -> Rule {
        Rule::accept([Match::Untracked, Match::UdpOfLength(self.knock_lengths)])
    }

    /// The base chain `answers`. A range of knock ports may have other services, so its rule matches only datagrams
    /// with the properties of an answer.
    pub(super) fn answers(&self) -> Vec<Rule> {
        let mut chain = Vec::new();
        let Answers { udp_length, user } = self.answers;
        for &ports in &self.knock_ports {
            let from = Match::FromPorts(ports);
            let line = if self.is_dedicated_knock_port(ports) {
                Rule::new([from], Verdict::Untrack)
            } else {
                let length = Match::UdpLength((udp_length, udp_length));
                let answer = [from, length, Match::UdpNotTo(DNS), Match::SentBy { user }];
                Rule::new(answer, Verdict::Untrack)
            };
            chain.push(line);
        }
        chain
    }

    /// How much of a packet is copied: the longest knock behind the longest IP header, which is that
    /// of IPv4 with all options.
    fn snaplen(&self) -> u32 {
        u32::from(self.knock_lengths.1) + 60
    }

    /// The knock ports without other services: not in `always_open`, and either bound by us or single ports, not
    /// ranges. No grant opens them.
    pub fn dedicated_knock_ports(&self) -> impl Iterator<Item = &PortRange> {
        let taken = |ports: &PortRange| self.always_open.iter().any(|open| open.overlaps(ports));
        let bound = self.capture == KnockCapture::Socket;
        self.knock_ports.iter().filter(move |ports| (bound || ports.width() == 1) && !taken(ports))
    }

    /// Whether these are dedicated knock ports.
    pub(super) fn is_dedicated_knock_port(&self, ports: PortRange) -> bool {
        self.dedicated_knock_ports().any(|one| *one == ports)
    }
}
