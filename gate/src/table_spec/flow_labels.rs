//! The labels that the table sets on conntrack entries. No packet can set one, and it stays as long as the entry
//! does, whatever happens to the table.
//!
//! The kernel has room for 128 bits in each entry, shared by all tables. The numbers are arbitrary. OVN, which uses
//! labels most, has its entries in zones of its own.

use sknock_netfilter::nft::rule::Match;

/// Packets in the direction of the flow's first one need no grant: one of them had a grant, or this host has answered.
const ADMITTED_FORTH: u32 = 101;

/// Packets in the other direction need none: this host has begun the flow, or one of them had a grant.
const ADMITTED_BACK: u32 = 104;

/// The flow's first packet did not come from where its source is, but from where its destination is, or from this
/// host.
const FORGED: u32 = 102;

/// A later packet did. Labels are set and never cleared.
const GENUINE: u32 = 103;

/// This host speaks to itself, from a port that needs a grant. That admits nobody.
const WITHIN_HOST: u32 = 105;

/// Entries of UDP at a protected port with none of these are older than the table, or than the port's protection.
pub(crate) const KEPT: [u32; 3] = [ADMITTED_FORTH, ADMITTED_BACK, WITHIN_HOST];

pub(super) const IS_ADMITTED_FORTH: Match = Match::HasLabel(ADMITTED_FORTH);
pub(super) const IS_ADMITTED_BACK: Match = Match::HasLabel(ADMITTED_BACK);
pub(super) const ADMIT_FORTH: Match = Match::SetLabel(ADMITTED_FORTH);
pub(super) const ADMIT_BACK: Match = Match::SetLabel(ADMITTED_BACK);
pub(super) const CALL_WITHIN_HOST: Match = Match::SetLabel(WITHIN_HOST);
pub(super) const IS_FORGED: Match = Match::HasLabel(FORGED);
pub(super) const CALL_FORGED: Match = Match::SetLabel(FORGED);
pub(super) const IS_GENUINE: Match = Match::HasLabel(GENUINE);
pub(super) const CALL_GENUINE: Match = Match::SetLabel(GENUINE);
