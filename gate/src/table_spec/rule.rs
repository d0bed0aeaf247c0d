//! One line of a chain: what a packet must be, and what then happens to it. How nft lists a line is in
//! `text`.

use super::chain::{ChainName, Part};
use crate::{GrantSet, PortRange, SourceLimit, Transport};

/// Which destination port a line asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PortOf {
    /// The packet's own. Nobody has translated it.
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
    /// Conntrack was told to leave it alone.
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
    /// The rules on trial still have time.
    OnTrial,
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
    /// It was sent to more hosts than this one, by link or by address.
    NotToHost,
    /// It is for this IPv4 address.
    ToV4(std::net::Ipv4Addr),
    /// It is for this IPv6 address.
    ToV6(std::net::Ipv6Addr),
    /// It is for a multicast address.
    ToMulticast {
        /// The family; packets of the other one do not match.
        v6: bool,
    },
    /// It asks for a TCP connection: SYN without ACK, whatever other flags it has.
    Syn,
    /// It is a TCP reset.
    TcpReset,
    /// Its source is blocked at its destination port.
    Blocked {
        /// The family; packets of the other one do not match.
        v6: bool,
        /// Which port.
        port: PortOf,
    },
    /// Its destination is blocked at its source port, or at the port that it had dialled.
    ToBlocked {
        /// The family; packets of the other one do not match.
        v6: bool,
        /// Which port.
        port: PortOf,
    },
    /// Its source may reach its destination port.
    In(GrantSet, PortOf),
    /// It is the first to use up this grant for single use, whatever happens on other processors at
    /// this moment: the kernel adds an element to a second set, whose limit passes one packet. Only
    /// after [`Match::In`].
    First(GrantSet, PortOf),
    /// Always so; its element is removed from the set. Only after [`Match::First`].
    ConsumeElement(GrantSet, PortOf),
    /// It is the very SYN that was admitted to begin a connection.
    Begun,
    /// Always so, if there is room: it is remembered for [`Match::Begun`].
    Begins,
    /// Its source, in IPv6 the first 64 bits of it, has sent more than this.
    OverRate {
        /// The family; packets of the other one do not match.
        v6: bool,
        /// How much.
        source_limit: SourceLimit,
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
    /// That chain is asked; if it has no verdict, the next line is.
    Jump(ChainName),
    /// That chain is asked; if it has no verdict, the packet is accepted.
    Goto(ChainName),
    /// It leaves the chain that it has entered.
    Return,
    /// Conntrack leaves it alone, and the next line is asked.
    Untrack,
    /// The field is set, and the next line is asked.
    Clear(Field),
    /// A copy goes to this group, and the next line is asked.
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
    pub(crate) fn new<const N: usize>(matches: [Match; N], verdict: Verdict) -> Self {
        Self { matches: matches.to_vec(), verdict }
    }

    pub(crate) fn accept<const N: usize>(matches: [Match; N]) -> Self {
        Self::new(matches, Verdict::Accept)
    }

    pub(crate) fn goto<const N: usize>(matches: [Match; N], part: Part) -> Self {
        Self::new(matches, Verdict::Goto(part.into()))
    }
}
