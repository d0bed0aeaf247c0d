//! Chains and rules as data: what a packet must be, and what then happens to it. How nft lists a rule is
//! in `text`.

use std::ffi::{CStr, CString};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use sknock_types::{PortRange, Transport};

/// A chain with its rules, first rule first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// Its name.
    pub name: ChainName,
    /// Where the kernel asks it, and its priority there; nothing: other chains lead to it.
    pub hook: Option<(Hook, i32)>,
    /// What it does with a packet. A packet that no rule ends is accepted.
    pub lines: Vec<Rule>,
}

/// A chain's name: both parts, one after the other. The first is empty but in a second copy of chains.
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

/// Where in the kernel a base chain is asked. The discriminant is `NF_INET_PRE_ROUTING` and so on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Hook {
    /// All that arrives, before it is routed.
    Prerouting = 0,
    /// What is delivered to this host.
    Input = 1,
    /// What is passed on to others.
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

/// Which destination port a rule asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PortOf {
    /// The packet's own, which no NAT has changed.
    Packet,
    /// The one that the client dialled, of a packet whose destination was translated.
    Original(Transport),
}

/// Something a packet must be.
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
    /// Always so; its conntrack entry gets this bit, if it was made when a rule that sets labels was there.
    SetLabel(u32),
    /// Conntrack does not track it.
    Untracked,
    /// The destination of its flow was translated.
    Translated,
    /// The source of its flow was translated.
    SourceTranslated,
    /// It goes from the server of its flow to the client.
    Reply,
    /// It goes from the client of its flow to the server, as the flow's first packet did.
    Forth,
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
    /// Its UDP header says a length from the first to the second. Only after a match of UDP.
    UdpLength((u16, u16)),
    /// It is UDP, and its header says a length from the first to the second.
    UdpOfLength((u16, u16)),
    /// It is UDP for this port.
    UdpTo(u16),
    /// It is UDP for any other port than this.
    UdpNotTo(u16),
    /// A process of this user has sent it.
    SentBy {
        /// The user's number.
        user: u32,
    },
    /// It belongs to a connection that is open here: a socket that is no listener. For TCP that
    /// arrives, the kernel finds out before it asks `input` (`net.ipv4.ip_early_demux`).
    OfOpenSocket,
    /// The routing table calls its destination an address of this host. Broadcast, multicast and
    /// anycast addresses are not, though the kernel delivers them here.
    ToLocal,
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
    NoWayBack,
    /// The routing table knows a way to its source by the interface through which it came.
    WayBack,
    /// The routing table leads to its destination, and packets with its mark, by the interface through which it came.
    TurnsBack,
    /// The routing table does not.
    GoesOn,
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
    /// Its destination address, protocol and source port are, or the port that its flow was dialled to.
    BackIn(AddressSet, PortOf),
    /// It is the first with this key, whatever happens on other processors at this moment: the kernel adds
    /// an element to the set, whose limit passes one packet.
    First(AddressSet, PortOf),
    /// Always so; the element with its key is removed from the set.
    ConsumeElement(AddressSet, PortOf),
    /// It is a TCP packet whose conntrack entry and sequence number are in this set.
    SynIn(&'static CStr),
    /// Always so, if there is room: it is added to this set, for [`Match::SynIn`].
    AddSyn(&'static CStr),
    /// The first four bytes behind its UDP header are not in this set. Only after a match of UDP, and of a length
    /// that has these bytes: a shorter packet does not match.
    TagNotIn(&'static CStr),
    /// Its source, in IPv6 the first 64 bits of it, has sent more than this.
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

/// What happens to a packet that is all of that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Other tables are asked.
    Accept,
    /// It is gone.
    Drop,
    /// TCP only: it is answered with a reset.
    Reset,
    /// It is answered with "port unreachable", in ICMP or `ICMPv6`.
    Unreachable,
    /// That chain is asked; if it has no verdict, the next rule is.
    Jump(ChainName),
    /// That chain is asked; if it has no verdict, the packet is accepted.
    Goto(ChainName),
    /// It leaves the chain that it has entered.
    Return,
    /// Conntrack leaves it alone, and the next rule is asked.
    Untrack,
    /// The field is set, and the next rule is asked.
    Clear(Field),
    /// A copy goes to this group, and the next rule is asked.
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
    /// All of it must be so.
    pub matches: Vec<Match>,
    /// Then this happens.
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
