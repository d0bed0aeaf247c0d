//! What could not be tested: it is not known whether that is as it should be.

use super::{Finding, Host};

/// Adds a finding for each.
pub(super) fn examine(host: &Host, findings: &mut Vec<Finding>) {
    findings.extend(host.unlooked.iter().map(|what| {
        Finding::note(format!("not tested: {what}"), "Run check as root, with nft installed")
    }));
    findings.extend(host.unfinished.iter().map(|what| {
        Finding::warning(
            format!("not known: {what}. nft did not finish listing within 10 s"),
            "Run check again when the ruleset changes less often. nft repeats a listing if \
             the ruleset changes during it",
        )
    }));
}
