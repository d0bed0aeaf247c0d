//! A line of a chain in the kernel's expressions. Each match loads registers and compares; the
//! first that does not hold ends the rule.

mod packet;
mod raw;
mod sets;

use std::ffi::CStr;

use nftnl::expr::{Bitwise, Cmp, CmpOp, Conntrack, IcmpCode, Meta, RejectionType, ct};

use super::ffi::{Attribute, Expr};
use super::rule::{Match, Rule, Verdict};

use packet::{address, clear, family, plain_udp, ports, protocol, tcp_flags};
use raw::{conntrack, fib, immediate, log, lookup, meta, route, set_label, to_network_order};
use sets::member;

/// `lo` has this index in every network namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;
/// `RTN_LOCAL`: an address of this host.
const LOCAL: u32 = libc::RTN_LOCAL as u32;
/// `RTN_BROADCAST`: all hosts of a network.
const BROADCAST: u32 = libc::RTN_BROADCAST as u32;
/// `RTN_ANYCAST`: an address that several hosts may have.
const ANYCAST: u32 = libc::RTN_ANYCAST as u32;
/// `NFTA_FIB_F_DADDR` and `NFTA_FIB_F_SADDR`.
const OF_DESTINATION: u32 = 2;
const OF_SOURCE: u32 = 1;
/// `NFTA_FIB_F_MARK`.
const BY_MARK: u32 = 4;
/// `NF_CT_STATE_UNTRACKED_BIT`.
const UNTRACKED: u32 = 1 << 6;
/// `IP_CT_DIR_ORIGINAL` and `IP_CT_DIR_REPLY`.
const ORIGINAL: u8 = 0;
const REPLY: u8 = 1;
/// `PACKET_HOST`: sent to this host alone.
const TO_HOST: u8 = 0;
/// TCP flags.
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Appends the expressions of `line` to `rule`.
pub(super) fn fill(rule: &mut nftnl::Rule<'_>, line: &Rule) {
    for &item in &line.matches {
        add(rule, item);
    }
    let verdict = match line.verdict {
        Verdict::Accept => nftnl::expr::Verdict::Accept,
        Verdict::Drop => nftnl::expr::Verdict::Drop,
        Verdict::Reset => nftnl::expr::Verdict::Reject(RejectionType::TcpRst),
        Verdict::Unreachable => {
            nftnl::expr::Verdict::Reject(RejectionType::Icmp(IcmpCode::PortUnreach))
        }
        Verdict::Jump(name) => nftnl::expr::Verdict::Jump { chain: name.to_c() },
        Verdict::Goto(name) => nftnl::expr::Verdict::Goto { chain: name.to_c() },
        Verdict::Return => nftnl::expr::Verdict::Return,
        Verdict::Untrack => {
            return rule.add_expr(&Expr { name: c"notrack", attributes: vec![] });
        }
        Verdict::Clear(field) => return clear(rule, field),
        Verdict::Log { group, snaplen } => return rule.add_expr(&log(group, snaplen)),
    };
    rule.add_expr(&verdict);
}

fn add(rule: &mut nftnl::Rule<'_>, item: Match) {
    match item {
        Match::FromLoopback => interface(rule, &Meta::Iif, CmpOp::Eq),
        Match::NotFromLoopback => interface(rule, &Meta::Iif, CmpOp::Neq),
        Match::IntoLoopback => interface(rule, &Meta::Oif, CmpOp::Eq),
        Match::Established
        | Match::Confirmed
        | Match::HasLabel(_)
        | Match::SetLabel(_)
        | Match::Untracked
        | Match::DestinationTranslated
        | Match::SourceTranslated
        | Match::Reply
        | Match::Original => tracked(rule, item),
        Match::Family(v6) => family(rule, v6),
        Match::FamilyIn(set) => family_in(rule, set),
        Match::Protocol(number) => protocol(rule, number),
        Match::OfOpenSocket => open_socket(rule),
        Match::SentBy { user } => {
            owner(rule);
            // Equality needs no byte order; comparing by size does, since the kernel compares with memcmp.
            rule.add_expr(&Cmp::new(CmpOp::Eq, user));
        }
        Match::ToLocal
        | Match::ToBroadcast
        | Match::ToAnycast
        | Match::FromBroadcast
        | Match::FromAnycast
        | Match::FromLocal
        | Match::NotFromLocal
        | Match::SourceNotRoutedToIif
        | Match::SourceRoutedToIif
        | Match::DestinationRoutedToIif
        | Match::DestinationNotRoutedToIif => routing(rule, item),
        Match::NotToHost => to_many(rule),
        Match::ToV4(_)
        | Match::ToV6(_)
        | Match::FromV6(_)
        | Match::ToMulticast { .. }
        | Match::FromLinkLocal => address(rule, item),
        Match::PlainUdp { v6, lengths } => plain_udp(rule, v6, lengths),
        Match::UdpBetween { .. }
        | Match::Ports(_)
        | Match::OriginalPorts(_)
        | Match::ReplyPorts(_)
        | Match::Below(..)
        | Match::Above(..)
        | Match::FromPorts(_)
        | Match::UdpTo(_)
        | Match::UdpNotTo(_)
        | Match::UdpChecksum
        | Match::UdpLength(_)
        | Match::UdpOfLength(_) => ports(rule, item),
        Match::Syn => tcp_flags(rule, SYN | ACK, CmpOp::Eq, SYN),
        Match::TcpReset => tcp_flags(rule, RST, CmpOp::Neq, 0),
        // Sets; a kind that is missing above is no match of `member` either.
        _ => member(rule, item),
    }
}

fn open_socket(rule: &mut nftnl::Rule<'_>) {
    owner(rule);
    rule.add_expr(&to_network_order());
    // True of every user. What counts is the load: without an open socket it ends the rule
    // (`nft_meta_get_eval_skugid`).
    rule.add_expr(&Cmp::new(CmpOp::Gte, 0_u32));
}

/// What the routing table says of a packet's addresses.
fn routing(rule: &mut nftnl::Rule<'_>, item: Match) {
    match item {
        Match::ToLocal => address_type(rule, OF_DESTINATION, CmpOp::Eq, LOCAL),
        Match::ToBroadcast => address_type(rule, OF_DESTINATION, CmpOp::Eq, BROADCAST),
        Match::ToAnycast => address_type(rule, OF_DESTINATION, CmpOp::Eq, ANYCAST),
        Match::FromBroadcast => address_type(rule, OF_SOURCE, CmpOp::Eq, BROADCAST),
        Match::FromAnycast => address_type(rule, OF_SOURCE, CmpOp::Eq, ANYCAST),
        Match::FromLocal => address_type(rule, OF_SOURCE, CmpOp::Eq, LOCAL),
        Match::NotFromLocal => address_type(rule, OF_SOURCE, CmpOp::Neq, LOCAL),
        Match::SourceNotRoutedToIif => by_its_interface(rule, OF_SOURCE, false),
        Match::SourceRoutedToIif => by_its_interface(rule, OF_SOURCE, true),
        Match::DestinationRoutedToIif => by_its_interface(rule, OF_DESTINATION | BY_MARK, true),
        Match::DestinationNotRoutedToIif => by_its_interface(rule, OF_DESTINATION | BY_MARK, false),
        _ => unreachable!("{item:?} is not about routing"),
    }
}

/// What conntrack says of a packet.
fn tracked(rule: &mut nftnl::Rule<'_>, item: Match) {
    match item {
        Match::Established => state(rule, ct::States::ESTABLISHED.bits()),
        Match::HasLabel(bit) => {
            rule.add_expr(&conntrack(libc::NFT_CT_LABELS, 1, None));
            // A register has all 128 bits; other tables may have set some of them.
            rule.add_expr(&Bitwise::new(&label(bit)[..], &[0_u8; 16][..]));
            rule.add_expr(&Cmp::new(CmpOp::Neq, &[0_u8; 16][..]));
        }
        Match::SetLabel(bit) => {
            rule.add_expr(&immediate(Attribute::Bytes(label(bit))));
            rule.add_expr(&set_label());
        }
        Match::Untracked => state(rule, UNTRACKED),
        Match::Confirmed => status(rule, ct::ConntrackStatus::CONFIRMED),
        Match::DestinationTranslated => status(rule, ct::ConntrackStatus::DST_NAT),
        Match::SourceTranslated => status(rule, ct::ConntrackStatus::SRC_NAT),
        Match::Reply => direction(rule, REPLY),
        Match::Original => direction(rule, ORIGINAL),
        _ => unreachable!("{item:?} is not about conntrack"),
    }
}

/// This bit as the kernel has labels: words of the machine, least significant bit first.
fn label(bit: u32) -> [u8; 16] {
    (1_u128 << bit).to_ne_bytes()
}

fn direction(rule: &mut nftnl::Rule<'_>, which: u8) {
    rule.add_expr(&conntrack(libc::NFT_CT_DIRECTION, 1, None));
    rule.add_expr(&Cmp::new(CmpOp::Eq, which));
}

fn status(rule: &mut nftnl::Rule<'_>, bit: ct::ConntrackStatus) {
    rule.add_expr(&Conntrack::Status);
    masked(rule, bit.bits());
}

fn family_in(rule: &mut nftnl::Rule<'_>, set: &'static CStr) {
    rule.add_expr(&Meta::NfProto);
    rule.add_expr(&lookup(set));
}

fn to_many(rule: &mut nftnl::Rule<'_>) {
    rule.add_expr(&meta(libc::NFT_META_PKTTYPE, 1));
    rule.add_expr(&Cmp::new(CmpOp::Neq, TO_HOST));
}

/// Loads the user of the packet's socket; ends the rule if it has no socket.
fn owner(rule: &mut nftnl::Rule<'_>) {
    rule.add_expr(&meta(libc::NFT_META_SKUID, 1));
}

fn address_type(rule: &mut nftnl::Rule<'_>, of: u32, how: CmpOp, kind: u32) {
    rule.add_expr(&fib(of));
    rule.add_expr(&Cmp::new(how, kind));
}

/// Whether there is a route by the interface through which it came.
fn by_its_interface(rule: &mut nftnl::Rule<'_>, of: u32, found: bool) {
    rule.add_expr(&route(of));
    rule.add_expr(&Cmp::new(CmpOp::Eq, u32::from(found)));
}

fn interface(rule: &mut nftnl::Rule<'_>, which: &Meta, how: CmpOp) {
    rule.add_expr(which);
    rule.add_expr(&Cmp::new(how, LOOPBACK));
}

fn state(rule: &mut nftnl::Rule<'_>, states: u32) {
    rule.add_expr(&Conntrack::State);
    masked(rule, states);
}

/// Any of these bits is set.
fn masked(rule: &mut nftnl::Rule<'_>, bits: u32) {
    rule.add_expr(&Bitwise::new(bits, 0_u32));
    rule.add_expr(&Cmp::new(CmpOp::Neq, 0_u32));
}
