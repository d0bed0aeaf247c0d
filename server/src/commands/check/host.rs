//! The host: is the user there, can the state be kept, does another firewall stand in the way, and
//! would the administrator lock themselves out.

use sknock_protocol::service::all_covered;

use super::{ConfiguredFiles, Finding, Host, StateFolder, appearance, redirects, ways_in};
use crate::config::{FirewallPolicy, Settings};

/// What to do if the kernel itself does not say.
const KERNEL: &str = "Run a kernel with nf_tables, 5.10 or later";

/// Adds what is wrong with the host.
pub(super) fn examine(
    settings: &Settings,
    found: &ConfiguredFiles,
    host: &Host,
    findings: &mut Vec<Finding>,
) {
    findings.extend(user(settings, found));
    findings.extend(state(settings, found));
    redirects::examine(host, findings);
    appearance::examine(settings, host, findings);
    ways_in::examine(settings, host, findings);
    findings.extend(policy(settings));
    findings.extend(shut(settings));
    findings.extend(clock(settings, host));
    around(host, findings);
}

/// What is in the way, and what may be.
fn around(host: &Host, findings: &mut Vec<Finding>) {
    if !host.shut.is_empty() {
        findings.push(Finding::error(
            format!(
                "another firewall drops {} from all sources: no grant is usable there",
                host.shut.join(", ")
            ),
            "Accept it there from all sources. The warnings name the chain that drops it",
        ));
    }
    findings.extend(host.denied_elsewhere.iter().map(|denied| {
        Finding::warning(
            format!("another firewall blocks: {denied}"),
            "Accept these ports there from all sources. sknock blocks them for clients without a \
             grant",
        )
    }));
    findings.extend(host.answers_denied.iter().map(|denied| {
        Finding::warning(
            format!(
                "another firewall drops answers: {denied}. Clients do not receive the answer \
                     to a knock"
            ),
            "Accept them there, for example with `udp sport 62344 accept`. Answers are \
             untracked: `ct state established` does not match them",
        )
    }));
    findings.extend(host.untracked.iter().map(|place| {
        Finding::note(
            format!("another firewall excludes packets from conntrack (notrack): {place}"),
            "Exclude protected ports from that rule. Without conntrack, UDP sessions end with \
             their grant, and connections of single-use grants may need another knock",
        )
    }));
    findings.extend(host.passed_on.iter().map(|place| {
        Finding::note(
            format!(
                "in deny-all mode sknock also blocks traffic that other rules redirect: \
                     {place}"
            ),
            "Set protectedPorts if this traffic is for other hosts or local proxies (Kubernetes, \
             transparent proxies)",
        )
    }));
    findings.extend(host.unclear.iter().map(|place| {
        Finding::note(
            format!("another firewall may block traffic: {place}"),
            "Check the rules yourself: `nft -a list ruleset` shows them with their handles",
        )
    }));
    findings.extend(host.unlooked.iter().map(|what| {
        Finding::note(format!("not tested: {what}"), "Run check as root, with nft installed")
    }));
    findings.extend(host.unsupported.iter().map(|lack| {
        let (what, remedy) = lack.split_once(". ").unwrap_or((lack, KERNEL));
        Finding::error(format!("kernel: {what}"), remedy)
    }));
}

fn user(settings: &Settings, found: &ConfiguredFiles) -> Option<Finding> {
    let name = &settings.process.user;
    match &found.user {
        _ if name.is_empty() => None, // the configuration's problem, already told
        Ok(Some(0)) => Some(Finding::error(
            format!("User: {name} is root"),
            "Set a user that owns nothing except stateDir",
        )),
        Ok(Some(_)) => None,
        Ok(None) => Some(Finding::error(
            format!("user: there is no {name:?}"),
            format!(
                "Create it: useradd --system --no-create-home --shell /usr/sbin/nologin \
                     {name}"
            ),
        )),
        Err(error) => Some(Finding::error(
            format!("user: {name:?} cannot be looked up: {error}"),
            "Check the user database of the system",
        )),
    }
}

fn state(settings: &Settings, found: &ConfiguredFiles) -> Option<Finding> {
    let path = settings.process.state.display();
    match &found.state {
        StateFolder::Missing => None,
        StateFolder::Unseen { error } => Some(Finding::error(
            format!("stateDir: cannot access {path}: {error}"),
            "Run check as root, or correct stateDir",
        )),
        StateFolder::NotAFolder => Some(Finding::error(
            format!(
                "stateDir: {path} is not a directory, is a symbolic link, or has a parent that \
                 is not a directory"
            ),
            "Move it away, or correct stateDir",
        )),
        StateFolder::Present { mode, .. } if mode & 0o022 != 0 => Some(Finding::warning(
            format!("stateDir: other users can write to {path}"),
            format!("If only sknock uses it: chmod 700 {path}. Otherwise set another directory"),
        )),
        StateFolder::Present { owner, .. } => {
            let ours = [Some(0), found.user.as_ref().ok().copied().flatten()];
            (!ours.contains(&Some(*owner))).then(|| {
                Finding::warning(
                    format!(
                        "stateDir: {path} is owned by uid {owner}. A start would change its \
                             owner"
                    ),
                    "Set a directory that only sknock uses",
                )
            })
        }
    }
}

/// What is closed and no knock can open. That may be meant, of a port that nobody shall reach.
fn shut(settings: &Settings) -> Option<Finding> {
    let (firewall, offered) = (&settings.firewall, &settings.grants.services);
    if firewall.policy == FirewallPolicy::None || offered.is_empty() {
        return None;
    }
    let shut = firewall.protected.iter().filter(|service| !all_covered(service, offered));
    let shut: Vec<String> = shut.map(ToString::to_string).collect();
    (!shut.is_empty()).then(|| {
        Finding::warning(
            format!(
                "not every port of {} can be granted: protectedPorts contains it, \
                 allowedServices does not",
                shut.join(", ")
            ),
            "Add it to allowedServices. No change is needed if it shall stay blocked for all \
             clients",
        )
    })
}

fn clock(settings: &Settings, host: &Host) -> Option<Finding> {
    host.unsynchronised.then(|| {
        let window = settings.knocks.window.as_secs();
        Finding::warning(
            format!(
                "the clock is not synchronised: if it is more than {window} s wrong, every knock \
                 is refused"
            ),
            "Run an NTP client, such as `systemctl enable --now systemd-timesyncd`",
        )
    })
}

fn policy(settings: &Settings) -> Option<Finding> {
    let firewall = &settings.firewall;
    match (firewall.policy, firewall.protected.is_empty()) {
        (FirewallPolicy::None, _) => Some(Finding::warning(
            "firewallPolicy = none: sknock protects no port",
            "Set protectedPorts, and firewallPolicy to reject or drop",
        )),
        (_, true) => Some(Finding::note(
            "deny-all mode: only alwaysOpenPorts, knock ports and granted ports are reachable; \
             tunnels and other IP protocols (ESP, GRE, SCTP) are blocked",
            "Set protectedPorts to protect only those ports",
        )),
        (_, false) => None,
    }
}
