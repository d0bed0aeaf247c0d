//! A line of a chain in the kernel's expressions. Each match loads registers and compares; the
//! first that does not hold ends the rule.

use std::ffi::CStr;

use nftnl::Rule;
use nftnl::expr::{
    Bitwise, Cmp, CmpOp, Conntrack, IcmpCode, Meta, Payload, RejectionType, TransportHeaderField,
    UdpHeaderField, ct,
};
use nftnl_sys as sys;

use super::ffi::{Attribute, Expr};
use super::table::{CUT, CUT_OFF, HEARD, KNOCK, MUTE, TRIAL};
use crate::{Line, Match, Meter, PortRange, Set, Transport, Verdict};

/// `lo` has this index in every network namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;
/// How a packet's family is numbered, in one byte.
pub(super) const NFPROTO_IPV4: u8 = 2;
pub(super) const NFPROTO_IPV6: u8 = 10;
/// `RTN_LOCAL`: an address of this host.
const LOCAL: u32 = libc::RTN_LOCAL as u32;
/// `NFT_FIB_RESULT_ADDRTYPE` and `NFTA_FIB_F_DADDR`.
const ADDRESS_TYPE: u32 = 3;
const OF_DESTINATION: u32 = 2;
/// `NFTA_FIB_F_SADDR`.
const OF_SOURCE: u32 = 1;
/// `NFT_DYNSET_OP_UPDATE` and `NFT_DYNSET_OP_DELETE`.
const UPDATE: u32 = 1;
const DELETE: u32 = 2;
/// `NFT_LIMIT_F_INV`: matches what is over the limit.
const OVER: u32 = 1;

const SOURCE: Payload = Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Sport));
const DESTINATION: Payload = Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Dport));
const LENGTH: Payload = Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Len));

/// Appends the expressions of `line` to `rule`.
pub(super) fn fill(rule: &mut Rule<'_>, line: &Line) {
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
        Verdict::Knock => nftnl::expr::Verdict::Jump { chain: KNOCK.to_owned() },
        Verdict::Trial => nftnl::expr::Verdict::Goto { chain: TRIAL.to_owned() },
        Verdict::Cut => nftnl::expr::Verdict::Jump { chain: CUT.to_owned() },
        Verdict::Mute => nftnl::expr::Verdict::Jump { chain: MUTE.to_owned() },
        Verdict::Return => nftnl::expr::Verdict::Return,
        Verdict::Log { group, snaplen } => return rule.add_expr(&log(group, snaplen)),
    };
    rule.add_expr(&verdict);
}

fn add(rule: &mut Rule<'_>, item: Match) {
    match item {
        Match::FromLoopback => {
            rule.add_expr(&Meta::Iif);
            rule.add_expr(&Cmp::new(CmpOp::Eq, LOOPBACK));
        }
        Match::Established => state(rule, ct::States::ESTABLISHED | ct::States::RELATED),
        Match::New => state(rule, ct::States::NEW),
        Match::IsV6(v6) => family(rule, v6),
        Match::OnTrial => {
            rule.add_expr(&Meta::NfProto);
            rule.add_expr(&lookup(TRIAL));
        }
        Match::Protocol(number) => protocol(rule, number),
        Match::UdpBetween { from, to } => {
            protocol(rule, Transport::Udp.number());
            between(rule, SOURCE, from, from);
            between(rule, DESTINATION, to, to);
        }
        Match::Ports(ports) => destination(rule, ports),
        Match::Below(transport, port) => beyond(rule, CmpOp::Lt, transport, port),
        Match::Above(transport, port) => beyond(rule, CmpOp::Gt, transport, port),
        Match::UdpLength((least, most)) => between(rule, LENGTH, least, most),
        Match::NotLocal => {
            rule.add_expr(&fib(OF_DESTINATION));
            rule.add_expr(&Cmp::new(CmpOp::Neq, LOCAL));
        }
        Match::ToLocal | Match::FromLocal => {
            let of = if item == Match::ToLocal { OF_DESTINATION } else { OF_SOURCE };
            rule.add_expr(&fib(of));
            rule.add_expr(&Cmp::new(CmpOp::Eq, LOCAL));
        }
        Match::IntoLoopback => {
            rule.add_expr(&Meta::Oif);
            rule.add_expr(&Cmp::new(CmpOp::Eq, LOOPBACK));
        }
        Match::TcpReset => tcp_reset(rule),
        Match::CutOff { v6 } | Match::ToCutOff { v6 } => {
            family(rule, v6);
            key(rule, v6, item == Match::ToCutOff { v6 });
            rule.add_expr(&lookup(CUT_OFF[usize::from(v6)]));
        }
        Match::In(set) => {
            family(rule, set.is_v6());
            key(rule, set.is_v6(), false);
            rule.add_expr(&lookup(set.name()));
        }
        Match::Spend(set) => {
            key(rule, set.is_v6(), false);
            rule.add_expr(&spend(set));
        }
        Match::Over { v6, meter } => {
            family(rule, v6);
            source(rule, v6);
            rule.add_expr(&over(v6, meter));
        }
    }
}

fn state(rule: &mut Rule<'_>, states: ct::States) {
    rule.add_expr(&Conntrack::State);
    rule.add_expr(&Bitwise::new(states.bits(), 0_u32));
    rule.add_expr(&Cmp::new(CmpOp::Neq, 0_u32));
}

fn family(rule: &mut Rule<'_>, v6: bool) {
    rule.add_expr(&Meta::NfProto);
    rule.add_expr(&Cmp::new(CmpOp::Eq, if v6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 }));
}

fn protocol(rule: &mut Rule<'_>, number: u8) {
    rule.add_expr(&Meta::L4Proto);
    rule.add_expr(&Cmp::new(CmpOp::Eq, number));
}

fn destination(rule: &mut Rule<'_>, ports: PortRange) {
    protocol(rule, ports.transport().number());
    between(rule, DESTINATION, ports.first(), ports.last());
}

fn beyond(rule: &mut Rule<'_>, how: CmpOp, transport: Transport, port: u16) {
    protocol(rule, transport.number());
    rule.add_expr(&DESTINATION);
    rule.add_expr(&Cmp::new(how, &port.to_be_bytes()[..]));
}

/// The two bytes at `field`, in network order, from `first` to `last`.
fn between(rule: &mut Rule<'_>, field: Payload, first: u16, last: u16) {
    rule.add_expr(&field);
    if first == last {
        rule.add_expr(&Cmp::new(CmpOp::Eq, &first.to_be_bytes()[..]));
    } else {
        rule.add_expr(&Cmp::new(CmpOp::Gte, &first.to_be_bytes()[..]));
        rule.add_expr(&Cmp::new(CmpOp::Lte, &last.to_be_bytes()[..]));
    }
}

/// The flags of a TCP header are its byte 13, and this is `RST`.
fn tcp_reset(rule: &mut Rule<'_>) {
    protocol(rule, Transport::Tcp.number());
    rule.add_expr(&payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, 1));
    rule.add_expr(&Bitwise::new(4_u8, 0_u8));
    rule.add_expr(&Cmp::new(CmpOp::Neq, 0_u8));
}

/// Loads source address, protocol and destination port one after the other, or on the way back
/// destination address and source port: registers of 4 bytes are numbered from 8, and number 1 is the
/// first sixteen bytes of them.
fn key(rule: &mut Rule<'_>, v6: bool, back: bool) {
    let network = libc::NFT_PAYLOAD_NETWORK_HEADER;
    let transport = libc::NFT_PAYLOAD_TRANSPORT_HEADER;
    let (source, length, then) = if v6 { (8, 16, 12) } else { (12, 4, 9) };
    let (address, port) = if back { (source + length, 0) } else { (source, 2) };
    rule.add_expr(&payload(network, address, length, 1));
    rule.add_expr(&Expr {
        name: c"meta",
        attributes: vec![
            (sys::NFTNL_EXPR_META_KEY, number(libc::NFT_META_L4PROTO)),
            (sys::NFTNL_EXPR_META_DREG, Attribute::Number(then)),
        ],
    });
    rule.add_expr(&payload(transport, port, 2, then + 1));
}

/// Loads the source address, in IPv6 the network of 64 bits that it is in.
fn source(rule: &mut Rule<'_>, v6: bool) {
    let network = libc::NFT_PAYLOAD_NETWORK_HEADER;
    if v6 {
        rule.add_expr(&payload(network, 8, 16, 1));
        let mask = u128::from(u64::MAX) << 64;
        rule.add_expr(&Bitwise::new(&mask.to_be_bytes()[..], &[0_u8; 16][..]));
    } else {
        rule.add_expr(&payload(network, 12, 4, 1));
    }
}

fn payload(base: libc::c_int, offset: u32, length: u32, register: u32) -> Expr {
    Expr {
        name: c"payload",
        attributes: vec![
            (sys::NFTNL_EXPR_PAYLOAD_DREG, Attribute::Number(register)),
            (sys::NFTNL_EXPR_PAYLOAD_BASE, number(base)),
            (sys::NFTNL_EXPR_PAYLOAD_OFFSET, Attribute::Number(offset)),
            (sys::NFTNL_EXPR_PAYLOAD_LEN, Attribute::Number(length)),
        ],
    }
}

fn fib(of: u32) -> Expr {
    Expr {
        name: c"fib",
        attributes: vec![
            (sys::NFTNL_EXPR_FIB_DREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_FIB_RESULT, Attribute::Number(ADDRESS_TYPE)),
            (sys::NFTNL_EXPR_FIB_FLAGS, Attribute::Number(of)),
        ],
    }
}

fn lookup(set: &'static CStr) -> Expr {
    Expr {
        name: c"lookup",
        attributes: vec![
            (sys::NFTNL_EXPR_LOOKUP_SREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_LOOKUP_SET, Attribute::Name(set)),
        ],
    }
}

fn spend(set: Set) -> Expr {
    Expr {
        name: c"dynset",
        attributes: vec![
            (sys::NFTNL_EXPR_DYNSET_SREG_KEY, Attribute::Number(1)),
            (sys::NFTNL_EXPR_DYNSET_OP, Attribute::Number(DELETE)),
            (sys::NFTNL_EXPR_DYNSET_SET_NAME, Attribute::Name(set.name())),
        ],
    }
}

fn over(v6: bool, meter: Meter) -> Expr {
    let limit = Expr {
        name: c"limit",
        attributes: vec![
            (sys::NFTNL_EXPR_LIMIT_RATE, Attribute::Long(meter.per_second.into())),
            (sys::NFTNL_EXPR_LIMIT_UNIT, Attribute::Long(1)), // seconds
            (sys::NFTNL_EXPR_LIMIT_BURST, Attribute::Number(meter.burst)),
            (sys::NFTNL_EXPR_LIMIT_FLAGS, Attribute::Number(OVER)),
        ],
    };
    Expr {
        name: c"dynset",
        attributes: vec![
            (sys::NFTNL_EXPR_DYNSET_SREG_KEY, Attribute::Number(1)),
            (sys::NFTNL_EXPR_DYNSET_OP, Attribute::Number(UPDATE)),
            (sys::NFTNL_EXPR_DYNSET_SET_NAME, Attribute::Name(HEARD[usize::from(v6)])),
            (sys::NFTNL_EXPR_DYNSET_EXPR, Attribute::Inner(limit)),
        ],
    }
}

/// Each copy goes out at once: a lone knock must not wait for others.
fn log(group: u16, snaplen: u32) -> Expr {
    Expr {
        name: c"log",
        attributes: vec![
            (sys::NFTNL_EXPR_LOG_GROUP, Attribute::Short(group)),
            (sys::NFTNL_EXPR_LOG_SNAPLEN, Attribute::Number(snaplen)),
            (sys::NFTNL_EXPR_LOG_QTHRESHOLD, Attribute::Short(1)),
        ],
    }
}

/// A constant of the kernel's interface; none is negative.
fn number(constant: libc::c_int) -> Attribute {
    Attribute::Number(constant.unsigned_abs())
}
