//! One line of a chain: what a packet must be, and what then happens to it.

use std::fmt;

use crate::{Meter, PortRange, Set, Transport};

/// Something a packet must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Match {
    /// It came in through `lo`.
    FromLoopback,
    /// It belongs to a connection that was let in, or is an error about one.
    Established,
    /// It begins a connection.
    New,
    /// It is IPv6, or IPv4.
    IsV6(bool),
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
    /// It is for a lower port of this transport.
    Below(Transport, u16),
    /// It is for a higher port of this transport.
    Above(Transport, u16),
    /// Its UDP header says a length from the first to the second. Only after UDP [`Match::Ports`].
    UdpLength((u16, u16)),
    /// It is not for an address of this host: transit, broadcast or multicast.
    NotLocal,
    /// It is for an address of this host.
    ToLocal,
    /// It is from an address of this host.
    FromLocal,
    /// It leaves through `lo`.
    IntoLoopback,
    /// It is a TCP reset.
    TcpReset,
    /// Its source was cut off from its destination port.
    CutOff {
        /// The family; packets of the other one do not match.
        v6: bool,
    },
    /// Its destination was cut off from its source port.
    ToCutOff {
        /// The family; packets of the other one do not match.
        v6: bool,
    },
    /// Its source may reach its destination port.
    In(Set),
    /// Always so; its element is removed from the set. Only after [`Match::In`].
    Spend(Set),
    /// Its source, in IPv6 the first 64 bits of it, has sent more than this.
    Over {
        /// The family; packets of the other one do not match.
        v6: bool,
        /// How much.
        meter: Meter,
    },
}

/// What happens to a packet that is all of that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It goes on to everybody else's chains.
    Accept,
    /// It is gone.
    Drop,
    /// TCP only: it is answered with a reset.
    Reset,
    /// It is answered with "port unreachable", in ICMP or `ICMPv6`.
    Unreachable,
    /// It enters the chain `knock`; if that has no verdict, the next line is asked.
    Knock,
    /// It is judged by the rules on trial, in the chain `trial`, and not by the next lines.
    Trial,
    /// It enters the chain `cut`, which ends it.
    Cut,
    /// It enters the chain `mute`; what that returns goes on.
    Mute,
    /// It leaves the chain that it has entered.
    Return,
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
pub struct Line {
    /// All of it must be so.
    pub matches: Vec<Match>,
    /// Then this happens.
    pub verdict: Verdict,
}

impl Line {
    pub(crate) fn accept<const N: usize>(matches: [Match; N]) -> Self {
        Self { matches: matches.to_vec(), verdict: Verdict::Accept }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.matches.iter().try_for_each(|item| write!(f, "{item} "))?;
        self.verdict.fmt(f)
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromLoopback => f.write_str("iif \"lo\""),
            Self::Established => f.write_str("ct state established,related"),
            Self::New => f.write_str("ct state new"),
            Self::OnTrial => f.write_str("meta nfproto @trial"),
            Self::IsV6(v6) => write!(f, "meta nfproto ipv{}", if *v6 { 6 } else { 4 }),
            Self::Protocol(1) => f.write_str("meta l4proto icmp"),
            Self::Protocol(58) => f.write_str("meta l4proto ipv6-icmp"),
            Self::Protocol(number) => match Transport::from_number(*number) {
                Some(transport) => write!(f, "meta l4proto {transport}"),
                None => write!(f, "meta l4proto {number}"),
            },
            Self::UdpBetween { from, to } => write!(f, "udp sport {from} udp dport {to}"),
            Self::Ports(ports) => {
                write!(f, "{} dport {}", ports.transport(), span(ports.first(), ports.last()))
            }
            Self::Below(transport, port) => write!(f, "{transport} dport < {port}"),
            Self::Above(transport, port) => write!(f, "{transport} dport > {port}"),
            Self::UdpLength((least, most)) => write!(f, "udp length {}", span(*least, *most)),
            Self::NotLocal => f.write_str("fib daddr type != local"),
            Self::ToLocal => f.write_str("fib daddr type local"),
            Self::FromLocal => f.write_str("fib saddr type local"),
            Self::IntoLoopback => f.write_str("oif \"lo\""),
            Self::TcpReset => f.write_str("tcp flags rst"),
            Self::CutOff { v6: false } => f.write_str("ip saddr . meta l4proto . th dport @cut4"),
            Self::CutOff { v6: true } => f.write_str("ip6 saddr . meta l4proto . th dport @cut6"),
            Self::ToCutOff { v6: false } => f.write_str("ip daddr . meta l4proto . th sport @cut4"),
            Self::ToCutOff { v6: true } => f.write_str("ip6 daddr . meta l4proto . th sport @cut6"),
            Self::In(set) => write!(f, "{} @{}", key(*set), name(*set)),
            Self::Spend(set) => write!(f, "delete @{} {{ {} }}", name(*set), key(*set)),
            Self::Over { v6, meter: Meter { per_second, burst, .. } } => {
                let (set, source) = if *v6 {
                    ("heard6", "ip6 saddr & ffff:ffff:ffff:ffff::")
                } else {
                    ("heard4", "ip saddr")
                };
                let limit =
                    format_args!("limit rate over {per_second}/second burst {burst} packets");
                write!(f, "update @{set} {{ {source} {limit} }}")
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Reset => "reject with tcp reset",
            Self::Unreachable => "reject",
            Self::Knock => "jump knock",
            Self::Trial => "goto trial",
            Self::Cut => "jump cut",
            Self::Mute => "jump mute",
            Self::Return => "return",
            Self::Log { group, snaplen } => {
                return write!(f, "log group {group} snaplen {snaplen} queue-threshold 1");
            }
        })
    }
}

fn span(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn key(set: Set) -> &'static str {
    if set.is_v6() {
        "ip6 saddr . meta l4proto . th dport"
    } else {
        "ip saddr . meta l4proto . th dport"
    }
}

fn name(set: Set) -> std::borrow::Cow<'static, str> {
    set.name().to_string_lossy()
}
