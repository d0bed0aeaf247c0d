//! What is in a packet: protocol, ports, addresses, flags.

use nftnl::Rule;
use nftnl::expr::{Bitwise, Cmp, CmpOp, Meta, Payload, TransportHeaderField, UdpHeaderField};

use super::raw::{conntrack, immediate, payload, write};
use super::{ORIGINAL, REPLY};
use crate::nft::ffi::Attribute;
use crate::nft::rule::{Field, IPV4_HEADER, Match};
use crate::nft::set::{NFPROTO_IPV4, NFPROTO_IPV6};
use sknock_types::{PortRange, Transport};

// Used for TCP, too: both headers begin with the two ports. Each rule compares the protocol before.
const SOURCE: Payload = Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Sport));
const DESTINATION: Payload = Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Dport));
const LENGTH: Payload = Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Len));

/// Where a packet goes or comes from, by its UDP or TCP ports.
pub(super) fn ports(rule: &mut Rule<'_>, item: Match) {
    let udp = Transport::Udp.number();
    match item {
        Match::UdpBetween { from, to } => {
            protocol(rule, udp);
            between(rule, SOURCE, from, from);
            between(rule, DESTINATION, to, to);
        }
        Match::Ports(ports) => destination(rule, ports),
        Match::OriginalPorts(ports) => {
            protocol(rule, ports.transport().number());
            rule.add_expr(&conntrack(libc::NFT_CT_PROTO_DST, 1, Some(ORIGINAL)));
            within(rule, ports.first(), ports.last());
        }
        Match::ReplyPorts(ports) => {
            protocol(rule, ports.transport().number());
            rule.add_expr(&conntrack(libc::NFT_CT_PROTO_DST, 1, Some(REPLY)));
            within(rule, ports.first(), ports.last());
        }
        Match::FromPorts(ports) => {
            protocol(rule, ports.transport().number());
            between(rule, SOURCE, ports.first(), ports.last());
        }
        Match::Below(transport, port) => beyond(rule, CmpOp::Lt, transport, port),
        Match::Above(transport, port) => beyond(rule, CmpOp::Gt, transport, port),
        Match::UdpTo(port) => {
            protocol(rule, udp);
            between(rule, DESTINATION, port, port);
        }
        Match::UdpNotTo(port) => {
            rule.add_expr(&DESTINATION);
            rule.add_expr(&Cmp::new(CmpOp::Neq, &port.to_be_bytes()[..]));
        }
        Match::UdpChecksum => {
            // Bytes 6 and 7 of the UDP header (RFC 768).
            rule.add_expr(&payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 6, 2, 1));
            rule.add_expr(&Cmp::new(CmpOp::Neq, &[0_u8; 2][..]));
        }
        Match::UdpLength((least, max)) => between(rule, LENGTH, least, max),
        Match::UdpOfLength((least, max)) => {
            protocol(rule, udp);
            between(rule, LENGTH, least, max);
        }
        _ => unreachable!("{item:?} is not about ports"),
    }
}

/// What the IP header says of its own length and of the packet's, or of the next header.
pub(super) fn plain_udp(rule: &mut Rule<'_>, v6: bool, (least, max): (u16, u16)) {
    let network = libc::NFT_PAYLOAD_NETWORK_HEADER;
    family(rule, v6);
    if v6 {
        // Payload length at byte 4, next header at byte 6 (RFC 8200, 3).
        rule.add_expr(&payload(network, 4, 2, 1));
        within(rule, least, max);
        rule.add_expr(&payload(network, 6, 1, 1));
        rule.add_expr(&Cmp::new(CmpOp::Eq, Transport::Udp.number()));
    } else {
        // The low half of byte 0 counts words of the header, bytes 2 and 3 all bytes (RFC 791, 3.1).
        rule.add_expr(&payload(network, 0, 1, 1));
        rule.add_expr(&Bitwise::new(&[0x0f_u8][..], &[0_u8][..]));
        rule.add_expr(&Cmp::new(CmpOp::Eq, 5_u8));
        rule.add_expr(&payload(network, 2, 2, 1));
        within(rule, least.saturating_add(IPV4_HEADER), max.saturating_add(IPV4_HEADER));
    }
}

/// Which address a packet is for, or from.
pub(super) fn address(rule: &mut Rule<'_>, item: Match) {
    let network = libc::NFT_PAYLOAD_NETWORK_HEADER;
    match item {
        Match::ToV4(address) => {
            family(rule, false);
            rule.add_expr(&payload(network, 16, 4, 1));
            rule.add_expr(&Cmp::new(CmpOp::Eq, &address.octets()[..]));
        }
        Match::ToV6(address) | Match::FromV6(address) => {
            family(rule, true);
            // The source of IPv6 begins at byte 8, the destination at byte 24 (RFC 8200, 3).
            let at = if item == Match::FromV6(address) { 8 } else { 24 };
            rule.add_expr(&payload(network, at, 16, 1));
            rule.add_expr(&Cmp::new(CmpOp::Eq, &address.octets()[..]));
        }
        Match::ToMulticast { v6: false } => {
            family(rule, false);
            // Byte 16 of IPv4 and byte 24 of IPv6 begin the destination (RFC 791, 3.1; RFC 8200, 3).
            rule.add_expr(&payload(network, 16, 4, 1));
            rule.add_expr(&Bitwise::new(&[0xf0_u8, 0, 0, 0][..], &[0_u8; 4][..]));
            rule.add_expr(&Cmp::new(CmpOp::Eq, &[0xe0_u8, 0, 0, 0][..]));
        }
        Match::ToMulticast { v6: true } => {
            family(rule, true);
            // ff00::/8: the first byte decides (RFC 4291, 2.7).
            rule.add_expr(&payload(network, 24, 1, 1));
            rule.add_expr(&Cmp::new(CmpOp::Eq, 0xff_u8));
        }
        Match::FromLinkLocal => {
            let mut mask = [0_u8; 16];
            mask[..2].copy_from_slice(&[0xff, 0xc0]);
            let mut network_bits = [0_u8; 16];
            network_bits[..2].copy_from_slice(&[0xfe, 0x80]);
            family(rule, true);
            // fe80::/10 (RFC 4291, 2.5.6).
            rule.add_expr(&payload(network, 8, 16, 1));
            rule.add_expr(&Bitwise::new(&mask[..], &[0_u8; 16][..]));
            rule.add_expr(&Cmp::new(CmpOp::Eq, &network_bits[..]));
        }
        _ => unreachable!("{item:?} is not about an address"),
    }
}

/// Writes into the IP header. The kernel corrects its checksum.
pub(super) fn clear(rule: &mut Rule<'_>, field: Field) {
    let network = libc::NFT_PAYLOAD_NETWORK_HEADER;
    let mask: [u8; 2] = match field {
        Field::V4Dscp => [0xff, 0x03],
        Field::V4Ecn => [0xff, 0xfc],
        Field::V6Class => {
            // Version 6, and nothing else in the first four bytes. There is no checksum.
            rule.add_expr(&immediate(Attribute::Number(u32::from_ne_bytes([0x60, 0, 0, 0]))));
            return rule.add_expr(&write(4, None));
        }
    };
    family(rule, false);
    // Two bytes, though one changes: the header's checksum, at byte 10, is a sum of 16-bit words (RFC 1071).
    rule.add_expr(&payload(network, 0, 2, 1));
    rule.add_expr(&Bitwise::new(&mask[..], &[0_u8; 2][..]));
    rule.add_expr(&write(2, Some(10)));
}

pub(super) fn family(rule: &mut Rule<'_>, v6: bool) {
    rule.add_expr(&Meta::NfProto);
    rule.add_expr(&Cmp::new(CmpOp::Eq, if v6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 }));
}

pub(super) fn protocol(rule: &mut Rule<'_>, number: u8) {
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
    within(rule, first, last);
}

/// The two bytes that were loaded, in network order, from `first` to `last`.
fn within(rule: &mut Rule<'_>, first: u16, last: u16) {
    if first == last {
        rule.add_expr(&Cmp::new(CmpOp::Eq, &first.to_be_bytes()[..]));
    } else {
        rule.add_expr(&Cmp::new(CmpOp::Gte, &first.to_be_bytes()[..]));
        rule.add_expr(&Cmp::new(CmpOp::Lte, &last.to_be_bytes()[..]));
    }
}

/// The flags of a TCP header are its byte 13.
pub(super) fn tcp_flags(rule: &mut Rule<'_>, mask: u8, how: CmpOp, flags: u8) {
    protocol(rule, Transport::Tcp.number());
    rule.add_expr(&payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, 1));
    rule.add_expr(&Bitwise::new(mask, 0_u8));
    rule.add_expr(&Cmp::new(how, flags));
}
