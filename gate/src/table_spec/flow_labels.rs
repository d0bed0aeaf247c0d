//! The labels that the table sets on conntrack entries. No packet can set one, and it stays as long as the entry
//! does, whatever happens to the table.
//!
//! The kernel has room for 128 bits in each entry, shared by all tables. The numbers are arbitrary. OVN, which uses
//! labels most, has its entries in zones of its own.

use sknock_netfilter::nft::rule::Match;

/// The flow was admitted by a grant, or by a packet of this host.
const ADMITTED: u32 = 101;

/// The flow's first packet did not come from where its source is, but from where its destination is, or from this
/// host.
const FORGED: u32 = 102;

/// A later packet did. Labels are set and never cleared.
const GENUINE: u32 = 103;

pub(super) const IS_ADMITTED: Match = Match::HasLabel(ADMITTED);
pub(super) const ADMIT: Match = Match::SetLabel(ADMITTED);
pub(super) const IS_FORGED: Match = Match::HasLabel(FORGED);
pub(super) const CALL_FORGED: Match = Match::SetLabel(FORGED);
pub(super) const IS_GENUINE: Match = Match::HasLabel(GENUINE);
pub(super) const CALL_GENUINE: Match = Match::SetLabel(GENUINE);
