//! Rules as nft lists them. A test compares with what it really lists.

use std::ffi::CStr;
use std::fmt;

use super::rule::{AddressSet, Field, IPV4_HEADER, Match, PortOf, Rule, Verdict};
use sknock_types::Transport;

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.matches.iter().try_for_each(|item| write!(f, "{item} "))?;
        self.verdict.fmt(f)
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromLoopback => f.write_str("iif \"lo\""),
            Self::NotFromLoopback => f.write_str("iif != \"lo\""),
            Self::IntoLoopback => f.write_str("oif \"lo\""),
            Self::Established => f.write_str("ct state established"),
            Self::Confirmed => f.write_str("ct status confirmed"),
            Self::HasLabel(bit) => write!(f, "ct label {bit}"),
            Self::SetLabel(bit) => write!(f, "ct label set {bit}"),
            Self::Untracked => f.write_str("ct state untracked"),
            Self::DestinationTranslated => f.write_str("ct status dnat"),
            Self::SourceTranslated => f.write_str("ct status snat"),
            Self::Reply => f.write_str("ct direction reply"),
            Self::Original => f.write_str("ct direction original"),
            Self::FamilyIn(set) => write!(f, "meta nfproto @{}", text(set)),
            Self::Family(v6) => write!(f, "meta nfproto ipv{}", if *v6 { 6 } else { 4 }),
            Self::Protocol(number) => protocol(f, *number),
            Self::UdpBetween { from, to } => write!(f, "udp sport {from} udp dport {to}"),
            Self::Ports(ports) => {
                write!(f, "{} dport {}", ports.transport(), span(ports.first(), ports.last()))
            }
            Self::OriginalPorts(ports) => {
                let span = span(ports.first(), ports.last());
                write!(f, "meta l4proto {} ct original proto-dst {span}", ports.transport())
            }
            Self::ReplyPorts(ports) => {
                let span = span(ports.first(), ports.last());
                write!(f, "meta l4proto {} ct reply proto-dst {span}", ports.transport())
            }
            Self::FromPorts(ports) => {
                write!(f, "{} sport {}", ports.transport(), span(ports.first(), ports.last()))
            }
            Self::Below(transport, port) => write!(f, "{transport} dport < {port}"),
            Self::Above(transport, port) => write!(f, "{transport} dport > {port}"),
            Self::UdpLength((least, max)) | Self::UdpOfLength((least, max)) => {
                write!(f, "udp length {}", span(*least, *max))
            }
            Self::UdpTo(port) => write!(f, "udp dport {port}"),
            Self::UdpNotTo(port) => write!(f, "udp dport != {port}"),
            Self::SentBy { user } => write!(f, "meta skuid {user}"),
            Self::OfOpenSocket => f.write_str("meta skuid >= 0"),
            Self::ToLocal => f.write_str("fib daddr type local"),
            Self::ToBroadcast => f.write_str("fib daddr type broadcast"),
            Self::ToAnycast => f.write_str("fib daddr type anycast"),
            Self::FromLocal => f.write_str("fib saddr type local"),
            Self::NotFromLocal => f.write_str("fib saddr type != local"),
            Self::FromBroadcast => f.write_str("fib saddr type broadcast"),
            Self::FromAnycast => f.write_str("fib saddr type anycast"),
            Self::SourceNotRoutedToIif => f.write_str("fib saddr . iif oif missing"),
            Self::SourceRoutedToIif => f.write_str("fib saddr . iif oif exists"),
            Self::DestinationRoutedToIif => f.write_str("fib daddr . mark . iif oif exists"),
            Self::DestinationNotRoutedToIif => f.write_str("fib daddr . mark . iif oif missing"),
            Self::NotToHost => f.write_str("meta pkttype != host"),
            Self::Syn => f.write_str("tcp flags syn / syn,ack"),
            Self::TcpReset => f.write_str("tcp flags rst"),
            _ => header(f, *self),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Reset => f.write_str("reject with tcp reset"),
            Self::Unreachable => f.write_str("reject"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Return => f.write_str("return"),
            Self::Untrack => f.write_str("notrack"),
            Self::Clear(Field::V4Dscp) => f.write_str("ip dscp set cs0"),
            Self::Clear(Field::V4Ecn) => f.write_str("ip ecn set not-ect"),
            Self::Clear(Field::V6Class) => f.write_str("@nh,0,32 set 0x60000000"),
            Self::Log { group, snaplen } => {
                write!(f, "log group {group} snaplen {snaplen} queue-threshold 1")
            }
        }
    }
}

/// Fields of the header that are not looked up anywhere.
fn header(f: &mut fmt::Formatter<'_>, item: Match) -> fmt::Result {
    match item {
        Match::FromLinkLocal => f.write_str("ip6 saddr fe80::/10"),
        Match::PlainUdp { v6: false, lengths: (least, max) } => {
            write!(
                f,
                "ip hdrlength 5 ip length {}",
                span(least.saturating_add(IPV4_HEADER), max.saturating_add(IPV4_HEADER))
            )
        }
        Match::PlainUdp { v6: true, lengths: (least, max) } => {
            write!(f, "ip6 length {} ip6 nexthdr udp", span(least, max))
        }
        Match::UdpChecksum => f.write_str("udp checksum != 0"),
        Match::ToV4(address) => write!(f, "ip daddr {address}"),
        Match::ToV6(address) => write!(f, "ip6 daddr {address}"),
        Match::FromV6(address) => write!(f, "ip6 saddr {address}"),
        Match::ToMulticast { v6: false } => f.write_str("ip daddr 224.0.0.0/4"),
        Match::ToMulticast { v6: true } => f.write_str("ip6 daddr ff00::/8"),
        _ => member(f, item),
    }
}

/// Lookups in the table's sets, and what packets change in them.
fn member(f: &mut fmt::Formatter<'_>, item: Match) -> fmt::Result {
    match item {
        Match::In(set, port) => {
            if let PortOf::Original(transport) = port {
                write!(f, "meta l4proto {transport} ")?;
            }
            write!(f, "{} @{}", key(set.v6, port), text(set.name))
        }
        Match::BackIn(set, port) => write!(f, "{} @{}", key_back(set.v6, port), text(set.name)),
        Match::First(set, port) => {
            let (name, key) = (text(set.name), key(set.v6, port));
            write!(f, "add @{name} {{ {key} limit rate 1/day burst 1 packets }}")
        }
        Match::ConsumeElement(set, port) => {
            write!(f, "delete @{} {{ {} }}", text(set.name), key(set.v6, port))
        }
        Match::SynIn(set) => write!(f, "ct id . tcp sequence @{}", text(set)),
        Match::AddSyn(set) => write!(f, "add @{} {{ ct id . tcp sequence }}", text(set)),
        Match::TagNotIn(set) => write!(f, "@th,64,32 != @{}", text(set)),
        Match::OverRate { set, per_second, burst } => over(f, set, per_second, burst),
        _ => unreachable!("{item:?} is not about a set"),
    }
}

fn protocol(f: &mut fmt::Formatter<'_>, number: u8) -> fmt::Result {
    match number {
        1 => f.write_str("meta l4proto icmp"),
        33 => f.write_str("meta l4proto dccp"),
        58 => f.write_str("meta l4proto ipv6-icmp"),
        132 => f.write_str("meta l4proto sctp"),
        136 => f.write_str("meta l4proto udplite"),
        _ => match Transport::from_number(number) {
            Some(transport) => write!(f, "meta l4proto {transport}"),
            None => write!(f, "meta l4proto {number}"),
        },
    }
}

fn over(f: &mut fmt::Formatter<'_>, set: AddressSet, per_second: u32, burst: u32) -> fmt::Result {
    let source = if set.v6 { "ip6 saddr & ffff:ffff:ffff:ffff::" } else { "ip saddr" };
    let limit = format_args!("limit rate over {per_second}/second burst {burst} packets");
    write!(f, "update @{} {{ {source} {limit} }}", text(set.name))
}

fn span(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn key(v6: bool, port: PortOf) -> String {
    let address = if v6 { "ip6 saddr" } else { "ip saddr" };
    let port = if port == PortOf::Packet { "th dport" } else { "ct original proto-dst" };
    format!("{address} . meta l4proto . {port}")
}

fn key_back(v6: bool, port: PortOf) -> String {
    let address = if v6 { "ip6 daddr" } else { "ip daddr" };
    match port {
        PortOf::Packet => format!("{address} . meta l4proto . th sport"),
        PortOf::Original(transport) => {
            format!("meta l4proto {transport} {address} . meta l4proto . ct original proto-dst")
        }
    }
}

fn text(name: &CStr) -> std::borrow::Cow<'_, str> {
    name.to_string_lossy()
}
