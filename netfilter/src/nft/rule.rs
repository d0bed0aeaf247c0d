//! Chains and rules as data: conditions for a packet, and a verdict. `text` prints a rule as nft lists it.

use std::ffi::{CStr, CString};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use sknock_types::{PortRange, Transport};

/// Bytes of an IPv4 header without options.
pub(super) const IPV4_HEADER: u16 = 20;

/// A chain with its rules, first rule first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// Its name.
    pub name: ChainName,
    /// The hook and the priority of a base chain. `None`: rules of other chains lead to it.
    pub hook: Option<(Hook, i32)>,
    /// Its rules, in order. A packet without a verdict returns to the chain that jumped here; a base chain accepts
    /// it.
    pub lines: Vec<Rule>,
}

/// A chain's name: prefix and name, joined. The prefix is empty, except in a second copy of the chains.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChainName {
    /// Which copy of the chains it belongs to.
    pub prefix: &'static str,
    /// What it is for.
    pub name: &'static str,
}

impl ChainName {
    /// As the kernel has it.
    pub(super) fn to_c(self) -> CString {
        CString::new(self.to_string()).expect("no name of a chain has a zero byte")
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.name)
    }
}

/// The hook of a base chain. The discriminant is that of the kernel, `NF_INET_PRE_ROUTING` and so on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Hook {
    /// All that arrives, before it is routed.
    Prerouting = 0,
    /// Packets that the kernel delivers to this host.
    Input = 1,
    /// Packets that this host forwards.
    Forward = 2,
    /// What this host sends.
    Output = 3,
    /// All that leaves, as it leaves.
    Postrouting = 4,
}

/// A set of the table whose keys begin with an address of one family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddressSet {
    /// The set's name.
    pub name: &'static CStr,
    /// Whether the addresses are IPv6. Packets of the other family do not match.
    pub v6: bool,
}

/// The destination port that a rule compares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PortOf {
    /// The one in the packet at this hook, after any translation.
    Packet,
    /// The one that the client dialled, of a packet whose destination was translated.
    Original(Transport),
}

/// A condition for a packet, or a change that the kernel makes when it evaluates the rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Match {
    /// It came in through `lo`.
    FromLoopback,
    /// It came in through another interface.
    NotFromLoopback,
    /// It leaves through `lo`.
    IntoLoopback,
    /// It belongs to a flow that has seen packets in both directions.
    Established,
    /// Its conntrack entry is in the table: another packet of its flow has passed before, in either direction, or
    /// this one itself as it left.
    Confirmed,
    /// Its conntrack entry has this bit in its label; below 128.
    HasLabel(u32),
    /// Always true: sets this bit in the label of its conntrack entry. An entry that is older than the first such
    /// rule has no room for labels.
    SetLabel(u32),
    /// Conntrack does not track it.
    Untracked,
    /// The destination of its flow was translated.
    DestinationTranslated,
    /// The source of its flow was translated.
    SourceTranslated,
    /// It goes from the server of its flow to the client.
    Reply,
    /// It goes from the client of its flow to the server, as the flow's first packet did.
    Original,
    /// It is IPv6, or IPv4.
    Family(bool),
    /// Its family is in this set.
    FamilyIn(&'static CStr),
    /// It carries this IP protocol.
    Protocol(u8),
    /// It is UDP between exactly these ports.
    UdpBetween {
        /// Source port.
        from: u16,
        /// Destination port.
        to: u16,
    },
    /// It is for one of these ports.
    Ports(PortRange),
    /// It was dialled to one of these ports, and then translated.
    OriginalPorts(PortRange),
    /// It answers a flow whose source was translated to one of these ports: the other side has dialled it.
    ReplyPorts(PortRange),
    /// It is for a lower port of this transport.
    Below(Transport, u16),
    /// It is for a higher port of this transport.
    Above(Transport, u16),
    /// It comes from one of these ports.
    FromPorts(PortRange),
    /// The length field of its UDP header is from the first to the second. Only after a match of UDP.
    UdpLength((u16, u16)),
    /// It is UDP, and the length field of its header is from the first to the second.
    UdpOfLength((u16, u16)),
    /// Its IP header says that UDP of a length from the first to the second follows, and nothing else: IPv4 without
    /// options, or IPv6 without extension headers.
    PlainUdp {
        /// The family; packets of the other one do not match.
        v6: bool,
        /// Lengths, with the UDP header.
        lengths: (u16, u16),
    },
    /// It has a UDP checksum. Only after a match of UDP.
    UdpChecksum,
    /// It is UDP for this port.
    UdpTo(u16),
    /// It is UDP for any other port than this.
    UdpNotTo(u16),
    /// A process of this user has sent it.
    SentBy {
        /// The user's number.
        user: u32,
    },
    /// It belongs to an open socket of this host other than a listener. For TCP packets that arrive, the kernel looks
    /// up the socket before the hook `input` (`net.ipv4.ip_early_demux`).
    OfOpenSocket,
    /// The routing table calls its destination an address of this host. Broadcast, multicast and
    /// anycast addresses are not, though the kernel delivers them here.
    ToLocal,
    /// The routing table calls its destination a broadcast address of IPv4.
    ToBroadcast,
    /// The routing table calls its destination an IPv6 anycast address of this host.
    ToAnycast,
    /// The routing table calls its source an address of this host.
    FromLocal,
    /// The routing table does not call its source an address of this host.
    NotFromLocal,
    /// The routing table calls its source a broadcast address of IPv4: of a network of this host, 0.0.0.0/8, or of
    /// the link.
    FromBroadcast,
    /// The routing table calls its source an IPv6 anycast address of this host.
    FromAnycast,
    /// Its source is a link-local address of IPv6. As it arrives through `lo`, the routing table knows none of them.
    FromLinkLocal,
    /// The routing table knows no way to its source by the interface through which it came.
    SourceNotRoutedToIif,
    /// The routing table knows a way to its source by the interface through which it came.
    SourceRoutedToIif,
    /// With its mark, the routing table leads to its destination by the interface through which it came.
    DestinationRoutedToIif,
    /// With its mark, the routing table does not lead to its destination by the interface through which it came.
    DestinationNotRoutedToIif,
    /// It was sent to more hosts than this one, by link or by address.
    NotToHost,
    /// It is for this IPv4 address.
    ToV4(Ipv4Addr),
    /// It is for this IPv6 address.
    ToV6(Ipv6Addr),
    /// It names this IPv6 address as its source.
    FromV6(Ipv6Addr),
    /// It is for a multicast address.
    ToMulticast {
        /// The family; packets of the other one do not match.
        v6: bool,
    },
    /// It asks for a TCP connection: SYN without ACK, whatever other flags it has.
    Syn,
    /// It is a TCP reset.
    TcpReset,
    /// Its source address, protocol and destination port are in this set.
    In(AddressSet, PortOf),
    /// Its destination address, its protocol and its source port (or the dialled port of its flow) are in this set.
    BackIn(AddressSet, PortOf),
    /// It is the first packet with this key, also if other processors handle packets at the same moment: the kernel
    /// adds an element to the set, with a limit that passes one packet.
    First(AddressSet, PortOf),
    /// Always true: removes the element with its key from the set.
    ConsumeElement(AddressSet, PortOf),
    /// It is a TCP packet whose conntrack entry and sequence number are in this set.
    SynIn(&'static CStr),
    /// True if the set has room: adds its conntrack entry and sequence number to this set, for [`Match::SynIn`].
    AddSyn(&'static CStr),
    /// The first four bytes behind its UDP header are not in this set. Only after a match of UDP, and of a length
    /// that has these bytes: a shorter packet does not match.
    TagNotIn(&'static CStr),
    /// Its source (an IPv4 address, or an IPv6 /64) has exceeded this rate.
    OverRate {
        /// Where the kernel remembers sources.
        set: AddressSet,
        /// In the long run; at least 1.
        per_second: u32,
        /// At one time; at least 1.
        burst: u32,
    },
}

/// A field of the IP header that is set to what the kernel's own resets have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// The differentiated services of IPv4: none.
    V4Dscp,
    /// Congestion notification of IPv4: none.
    V4Ecn,
    /// Traffic class and flow label of IPv6: none.
    V6Class,
}

/// What the kernel does with a packet that meets all conditions of a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The packet continues to the chains of other tables.
    Accept,
    /// The kernel discards the packet.
    Drop,
    /// TCP only: the kernel discards the packet and answers with a reset.
    Reset,
    /// The kernel discards the packet and answers with "port unreachable", in ICMP or `ICMPv6`.
    Unreachable,
    /// The kernel evaluates that chain, and without a verdict there the next rule.
    Jump(ChainName),
    /// The kernel evaluates that chain and does not come back to this one. Without a verdict there, the packet
    /// returns to the chain that jumped to this one; without such a chain, the policy of the base chain applies
    /// (accept).
    Goto(ChainName),
    /// The packet returns to the rule after the last jump; without one, the policy of the base chain applies
    /// (accept).
    Return,
    /// Conntrack does not track it. The next rule follows.
    Untrack,
    /// The kernel sets the field. The next rule follows.
    Clear(Field),
    /// The kernel sends a copy to this group. The next rule follows.
    Log {
        /// The NFLOG group.
        group: u16,
        /// How much is copied, in bytes from the IP header on.
        snaplen: u32,
    },
}

/// A rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The packet must meet all of them.
    pub matches: Vec<Match>,
    /// The verdict for a packet that meets all of them.
    pub verdict: Verdict,
}

impl Rule {
    /// A rule.
    pub fn new<const N: usize>(matches: [Match; N], verdict: Verdict) -> Self {
        Self { matches: matches.to_vec(), verdict }
    }

    /// A rule that accepts.
    pub fn accept<const N: usize>(matches: [Match; N]) -> Self {
        Self::new(matches, Verdict::Accept)
    }

    /// A rule that sends a packet to another chain.
    pub fn goto<const N: usize>(matches: [Match; N], chain: impl Into<ChainName>) -> Self {
        Self::new(matches, Verdict::Goto(chain.into()))
    }
}
