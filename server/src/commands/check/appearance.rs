//! Whether a protected port looks like the ports beside it, or is the only one that answers, or the only
//! one that does not.

use super::{Finding, Host, Manner, NeighbourPorts, Severity};
use crate::config::{FirewallPolicy, Settings};

/// Adds where another policy would hide better, and where none does.
pub(super) fn examine(settings: &Settings, host: &Host, findings: &mut Vec<Finding>) {
    let policy = settings.firewall.policy;
    findings.extend(host.beside.iter().filter_map(|beside| judge(policy, beside)));
}

fn judge(
    policy: FirewallPolicy,
    NeighbourPorts { services, manner }: &NeighbourPorts,
) -> Option<Finding> {
    let fits = manner.policy();
    if policy == FirewallPolicy::None || fits == Some(policy) {
        return None;
    }
    let ours = if policy == FirewallPolicy::Drop { "dropped" } else { "refused" };
    let (theirs, severity) = match manner {
        // Without another firewall, that is known: docs/THREATS.md.
        Manner::Closed => ("refused".to_owned(), Severity::Note),
        Manner::AsClosed => ("refused by another firewall".to_owned(), Severity::Warning),
        Manner::Silent => ("dropped by another firewall".to_owned(), Severity::Warning),
        Manner::Other(code) => {
            (format!("answered with {code} by another firewall"), Severity::Note)
        }
    };
    let what = format!(
        "firewallPolicy: {services} can be distinguished from neighbouring ports: packets \
         without a grant are {ours}; packets to the other ports are {theirs}"
    );
    let remedy = match fits {
        Some(FirewallPolicy::Drop) => "Set firewallPolicy = drop",
        Some(_) => "Set firewallPolicy = reject",
        None => {
            "No firewallPolicy answers like this. Let the other firewall drop the packets that \
             it does not accept, and set firewallPolicy = drop"
        }
    };
    Some(Finding { severity, what, remedy: remedy.to_owned() })
}
