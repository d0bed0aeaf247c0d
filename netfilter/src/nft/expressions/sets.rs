//! Lookups in the table's sets, and what packets change in them.

use nftnl::Rule;
use nftnl::expr::Bitwise;

use super::ORIGINAL;
use super::packet::{family, protocol};
use super::raw::{ADD, DELETE, change, conntrack, first, lookup, lookup_not, meta, over, payload};
use crate::nft::rule::{Match, PortOf};
use sknock_types::Transport;

/// `NFT_CT_ID`, which the `libc` crate does not have: which entry it is, the same for all its packets.
const NFT_CT_ID: libc::c_int = 23;

/// How many bytes the header of UDP has.
const UDP_HEADER: u32 = 8;

/// Whether a packet's key is in a set, or what becomes of it there.
pub(super) fn member(rule: &mut Rule<'_>, item: Match) {
    match item {
        Match::In(set, port) => {
            flow(rule, set.v6, port, false);
            rule.add_expr(&lookup(set.name));
        }
        Match::BackIn(set, port) => {
            flow(rule, set.v6, port, true);
            rule.add_expr(&lookup(set.name));
        }
        Match::First(set, port) => {
            // Not `flow`: an `In` earlier in the same rule has compared family and protocol.
            key(rule, set.v6, port, false);
            rule.add_expr(&first(set.name));
        }
        Match::ConsumeElement(set, port) => {
            key(rule, set.v6, port, false);
            rule.add_expr(&change(DELETE, set.name));
        }
        Match::SynIn(set) => {
            syn(rule);
            rule.add_expr(&lookup(set));
        }
        Match::AddSyn(set) => {
            syn(rule);
            rule.add_expr(&change(ADD, set));
        }
        Match::TagNotIn(set) => {
            rule.add_expr(&payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, UDP_HEADER, 4, 1));
            rule.add_expr(&lookup_not(set));
        }
        Match::OverRate { set, per_second, burst } => {
            family(rule, set.v6);
            source(rule, set.v6);
            rule.add_expr(&over(set.name, per_second, burst));
        }
        _ => unreachable!("{item:?} is not about a set"),
    }
}

/// Loads the key of a packet in the sets of this family, if it has one there.
fn flow(rule: &mut Rule<'_>, v6: bool, port: PortOf, back: bool) {
    if let PortOf::Original(transport) = port {
        protocol(rule, transport.number());
    }
    family(rule, v6);
    key(rule, v6, port, back);
}

/// Loads source address, protocol and destination port one after the other, or on the way back
/// destination address and source port: registers of 4 bytes are numbered from 8, and number 1 is the
/// first sixteen bytes of them.
fn key(rule: &mut Rule<'_>, v6: bool, port: PortOf, back: bool) {
    let network = libc::NFT_PAYLOAD_NETWORK_HEADER;
    let transport = libc::NFT_PAYLOAD_TRANSPORT_HEADER;
    let (source, length, then) = if v6 { (8, 16, 12) } else { (12, 4, 9) };
    let (address, offset) = if back { (source + length, 0) } else { (source, 2) };
    rule.add_expr(&payload(network, address, length, 1));
    rule.add_expr(&meta(libc::NFT_META_L4PROTO, then));
    match port {
        PortOf::Packet => rule.add_expr(&payload(transport, offset, 2, then + 1)),
        // Of the packet that began the flow, so it is the same both ways.
        PortOf::Original(_) => {
            rule.add_expr(&conntrack(libc::NFT_CT_PROTO_DST, then + 1, Some(ORIGINAL)));
        }
    }
}

/// Loads the conntrack entry and the sequence number of a TCP packet.
fn syn(rule: &mut Rule<'_>) {
    protocol(rule, Transport::Tcp.number());
    rule.add_expr(&conntrack(NFT_CT_ID, 1, None));
    // The sequence number (RFC 9293, 3.1). Ports need not be compared: the entry has them.
    rule.add_expr(&payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 4, 4, 9));
}

/// Loads the source address, in IPv6 the network of 64 bits that it is in.
fn source(rule: &mut Rule<'_>, v6: bool) {
    let network = libc::NFT_PAYLOAD_NETWORK_HEADER;
    if v6 {
        rule.add_expr(&payload(network, 8, 16, 1));
        // One host may send from each address of its /64, and would fill the set.
        let mask = u128::from(u64::MAX) << 64;
        rule.add_expr(&Bitwise::new(&mask.to_be_bytes()[..], &[0_u8; 16][..]));
    } else {
        rule.add_expr(&payload(network, 12, 4, 1));
    }
}
