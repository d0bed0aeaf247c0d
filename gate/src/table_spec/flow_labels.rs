//! The labels that the table sets on conntrack entries. No packet can set one, and it stays as long as the entry
//! does, whatever happens to the table.
//!
//! The kernel has room for 128 bits in each entry, shared by all tables. The numbers are arbitrary. OVN, which uses
//! labels most, has its entries in zones of its own.

use sknock_netfilter::nft::rule::Match;

/// Packets in the direction of the flow's first one need no grant: one of them had a grant, or this host has answered.
const ADMITTED_ORIGINAL: u32 = 101;

/// Packets in the other direction need none: this host has begun the flow, or one of them had a grant.
const ADMITTED_REPLY: u32 = 104;

/// A forwarded flow, the first packet of which, or a later one, cannot have been forged by its destination: it came by the
/// interface to its source, or by another one than that to its destination.
pub(crate) const GENUINE: u32 = 103;

/// A flow of this host with itself, from a port that needs a grant. The label admits no packet.
const WITHIN_HOST: u32 = 105;

/// Entries of UDP at a protected port with none of these are older than the table, or than the port's protection.
pub(crate) const KEPT: [u32; 3] = [ADMITTED_ORIGINAL, ADMITTED_REPLY, WITHIN_HOST];

pub(super) const IS_ADMITTED_ORIGINAL: Match = Match::HasLabel(ADMITTED_ORIGINAL);
pub(super) const IS_ADMITTED_REPLY: Match = Match::HasLabel(ADMITTED_REPLY);
pub(super) const ADMIT_ORIGINAL: Match = Match::SetLabel(ADMITTED_ORIGINAL);
pub(super) const ADMIT_REPLY: Match = Match::SetLabel(ADMITTED_REPLY);
pub(super) const IS_WITHIN_HOST: Match = Match::HasLabel(WITHIN_HOST);
pub(super) const SET_WITHIN_HOST: Match = Match::SetLabel(WITHIN_HOST);
pub(super) const IS_GENUINE: Match = Match::HasLabel(GENUINE);
pub(super) const SET_GENUINE: Match = Match::SetLabel(GENUINE);
