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

use super::part::Part;
use super::sets::{KNOCK_RATE, KNOCK_TAGS, TAGS_LOADED};
use super::{FirewallPolicy, TableSpec};

/// How knocks reach the network process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KnockCapture {
    /// They are let through to a bound UDP socket.
    Socket,
    /// The kernel hands a copy to this NFLOG group, and then treats the knock like any datagram at a
    /// port where nobody listens. It is not let through anywhere.
    Log {
        /// A process that [listens to the group](sknock_netfilter::nflog::bind_group) gets the copies.
        group: u16,
    },
}

/// How many knocks one source may send: an IPv4 address, or an IPv6 network of 64 bits.
///
/// Sources are not proven here, so an attacker who forges a client's address must send this much to
/// silence it. When the set has no room for another source, further ones are not limited:
/// forged sources cannot displace honest ones.
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
    /// For how long a source is remembered after its last knock: longer than an empty meter takes to
    /// fill up, or forgetting would be a gain.
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

/// What answers to knocks look like when they leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answers {
    /// The UDP header's length field, which counts the header.
    pub udp_length: u16,
    /// The user whose processes send them.
    pub user: u32,
}

/// Where names are asked for, by the same user.
pub(super) const DNS: u16 = 53;

impl TableSpec {
    /// Where knocks are captured: after fragments are put together, before conntrack.
    pub const KNOCKS_PRIORITY: i32 = libc::NF_IP_PRI_RAW;

    /// The base chain `knocks`.
    ///
    /// Only here the routing table is asked which addresses are ours. One that it does not know costs
    /// its knock; no packet is accepted by it.
    pub(super) fn knocks(&self) -> Vec<Rule> {
        self.knock_ports.iter().flat_map(|&ports| self.knocks_at(ports)).collect()
    }

    fn knocks_at(&self, ports: PortRange) -> Vec<Rule> {
        let here = Match::Ports(ports);
        let knock = [here, Match::UdpLength(self.knock_lengths), Match::ToLocal];
        let mut lines: Vec<Rule> = self.without_tag(ports).into_iter().collect();
        lines.push(Rule::new(knock, Verdict::Jump(Part::KnockMeter.into())));
        if self.drops_early(ports) {
            // `input` would drop it too; here it costs less.
            lines.push(Rule::new([Match::NotFromLoopback, here, Match::ToLocal], Verdict::Drop));
        }
        lines
    }

    /// Whether the table asks for tags.
    pub(crate) fn filters_by_tags(&self) -> bool {
        self.tagged_length.is_some() && !self.knock_ports.is_empty()
    }

    /// Whether all that comes by the wire to these knock ports and is not captured is dropped in `knocks`.
    pub(super) fn drops_early(&self, ports: PortRange) -> bool {
        self.policy == FirewallPolicy::Drop
            && self.is_dedicated_knock_port(ports)
            && self.covers(ports)
    }

    /// What has none of the tags in force is no knock, as long as the kernel has all of them. It has the fate of a
    /// datagram of another length. The cheapest test comes first: routing is asked only before a drop.
    fn without_tag(&self, ports: PortRange) -> Option<Rule> {
        let length = self.tagged_length?;
        let untagged = [
            Match::Ports(ports),
            Match::UdpLength((length, length)),
            Match::FamilyIn(TAGS_LOADED),
            Match::TagNotIn(KNOCK_TAGS),
        ];
        let verdict = if self.drops_early(ports) {
            Verdict::Goto(Part::KnockUntagged.into())
        } else {
            Verdict::Return
        };
        Some(Rule::new(untagged, verdict))
    }

    /// The chain `knock_untagged`. What is for others passes.
    pub(super) fn knock_untagged() -> Vec<Rule> {
        vec![Rule::new([Match::NotFromLoopback, Match::ToLocal], Verdict::Drop)]
    }

    /// The chain `knock_meter`: a source that has sent too many is treated as if it did not knock.
    ///
    /// So is one whose source no client by the wire has: an address of this host, loopback, broadcast, or anycast.
    /// The answer would go to a service of this host, or to many hosts.
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

    /// The rules of `input` for ports that are for nothing but knocks.
    pub(super) fn at_knock_ports(&self) -> Vec<Rule> {
        let knock = Match::UdpLength(self.knock_lengths);
        let line = |&ports: &PortRange| match (self.capture, self.covers(ports)) {
            (KnockCapture::Socket, true) => Rule::goto([Match::Ports(ports)], Part::Knock),
            (KnockCapture::Socket, false) => {
                Rule::goto([Match::Ports(ports)], Part::KnockUnprotected)
            }
            (KnockCapture::Log { .. }, true) => Rule::goto([Match::Ports(ports)], Part::Refuse),
            // Nothing listens there. What is refused here leaves no entry in conntrack, and what the
            // kernel itself would refuse does. Untracked, no error would come back through a firewall
            // that goes by states, nor for some packets with IP options, as it does at other ports.
            (KnockCapture::Log { .. }, false) => {
                Rule::goto([Match::Ports(ports), knock], Part::KnockUnprotected)
            }
        };
        self.dedicated_knock_ports().map(line).collect()
    }

    /// The chain `knock`, with a socket at a port that the policy closes.
    pub(super) fn knock(&self) -> Vec<Rule> {
        vec![self.to_socket(), Rule::goto([], Part::Refuse)]
    }

    /// The chain `knock_unprotected`, at a port that the policy leaves open: what is not for a socket of
    /// ours finds it closed.
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

    /// The base chain `answers`. In a range of knock ports there may be other services, so there
    /// only what looks like an answer is meant.
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

    /// The knock ports that are for nothing but knocks: not open to everyone, and either
    /// bound by us or each by itself, not part of a range. No grant opens them.
    pub fn dedicated_knock_ports(&self) -> impl Iterator<Item = &PortRange> {
        let taken = |ports: &PortRange| self.always_open.iter().any(|open| open.overlaps(ports));
        let bound = self.capture == KnockCapture::Socket;
        self.knock_ports.iter().filter(move |ports| (bound || ports.width() == 1) && !taken(ports))
    }

    /// Whether these knock ports are for nothing but knocks.
    pub(super) fn is_dedicated_knock_port(&self, ports: PortRange) -> bool {
        self.dedicated_knock_ports().any(|one| *one == ports)
    }
}
