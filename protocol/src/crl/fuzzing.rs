//! Two extensions for the fuzzer, which cannot sign certificates. It is there only under `cfg(fuzzing)`, which
//! `make fuzz` sets: no program has it.

use super::{PointName, Scope};

/// Whether a list with this issuingDistributionPoint (DER) is complete, and whether it is about a user's
/// certificate that has this cRLDistributionPoints; `None` if the list is refused.
pub fn covers(list: &[u8], certificate: Option<&[u8]>) -> Option<(bool, bool)> {
    let scope = Scope::of(list).ok()?;
    let points = PointName::all(&[0x30, 0], certificate);
    assert!(points.len() <= 17, "unbounded");
    Some((scope.is_complete(), scope.covers(false, &points)))
}
