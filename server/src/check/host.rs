//! The host: is the user there, can the state be kept, does another firewall stand in the way, and
//! would the administrator lock themselves out.

use sknock_protocol::service::all_covered;

use super::{ConfiguredFiles, Finding, Host, StateFolder, appearance, redirects, ways_in};
use crate::config::{FirewallPolicy, Settings};

/// What to do if the kernel itself does not say.
const KERNEL: &str = "run a kernel with nf_tables, 5.10 or later";

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
                "another firewall drops {} for everybody: no knock gets in there",
                host.shut.join(", ")
            ),
            "let it through there, from everywhere; the warnings say which chain drops it",
        ));
    }
    findings.extend(host.denied_elsewhere.iter().map(|denied| {
        Finding::warning(
            format!("another firewall is in the way: {denied}"),
            "let the ports through there, from everywhere: sknock closes them until a knock comes",
        )
    }));
    findings.extend(host.answers_denied.iter().map(|denied| {
        Finding::warning(
            format!("another firewall drops answers: {denied}; clients are not told that they got in"),
            "accept them there, such as by `udp sport 62344 accept`: conntrack does not know them, so \
             `ct state established` is not enough",
        )
    }));
    findings.extend(host.untracked.iter().map(|place| {
        Finding::note(
            format!("another firewall keeps connections from conntrack: {place}"),
            "take protected ports out of it: without conntrack a UDP session ends with its grant, and \
             a connection by a single-use grant may have to be knocked for again",
        )
    }));
    findings.extend(host.passed_on.iter().map(|place| {
        Finding::note(
            format!("all traffic is denied, and so is what others pass on: {place}"),
            "set protectedPorts, if it is for connections through this host (Kubernetes, transparent \
             proxies)",
        )
    }));
    findings.extend(host.unclear.iter().map(|place| {
        Finding::note(
            format!("another firewall may be in the way: {place}"),
            "look yourself: `nft -a list ruleset` shows rules with their handles",
        )
    }));
    findings.extend(host.unlooked.iter().map(|what| {
        Finding::note(format!("not looked at: {what}"), "run check as root, with nft installed")
    }));
    findings.extend(host.unsupported.iter().map(|lack| {
        let (what, remedy) = lack.split_once("; ").unwrap_or((lack, KERNEL));
        Finding::error(format!("kernel: {what}"), remedy)
    }));
}

fn user(settings: &Settings, found: &ConfiguredFiles) -> Option<Finding> {
    let name = &settings.process.user;
    match &found.user {
        _ if name.is_empty() => None, // the configuration's problem, already told
        Ok(Some(0)) => Some(Finding::error(
            format!("user: {name} is root"),
            "name a user that owns nothing but stateDir",
        )),
        Ok(Some(_)) => None,
        Ok(None) => Some(Finding::error(
            format!("user: there is no {name:?}"),
            format!("useradd --system --no-create-home --shell /usr/sbin/nologin {name}"),
        )),
        Err(error) => Some(Finding::error(
            format!("user: {name:?} cannot be looked up: {error}"),
            "check the system's user database",
        )),
    }
}

fn state(settings: &Settings, found: &ConfiguredFiles) -> Option<Finding> {
    let path = settings.process.state.display();
    match &found.state {
        StateFolder::Missing => None,
        StateFolder::Unseen { error } => Some(Finding::error(
            format!("stateDir: {path} cannot be looked at: {error}"),
            "run check as root, or correct stateDir",
        )),
        StateFolder::NotAFolder => Some(Finding::error(
            format!(
                "stateDir: {path} is no folder, a link to one, or below something that is none"
            ),
            "move that away, or correct stateDir",
        )),
        StateFolder::Present { mode, .. } if mode & 0o022 != 0 => Some(Finding::warning(
            format!("stateDir: others can write to {path}"),
            format!("chmod 700 {path}, if it is sknock's alone; else name another folder"),
        )),
        StateFolder::Present { owner, .. } => {
            let ours = [Some(0), found.user.as_ref().ok().copied().flatten()];
            (!ours.contains(&Some(*owner))).then(|| {
                Finding::warning(
                    format!("stateDir: {path} belongs to uid {owner}, and would be taken over"),
                    "name a folder of its own",
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
                "no knock can open all of {}: protectedPorts has it, allowedServices has not",
                shut.join(", ")
            ),
            "add it to allowedServices; fine if nobody is to get in there",
        )
    })
}

fn clock(settings: &Settings, host: &Host) -> Option<Finding> {
    host.unsynchronised.then(|| {
        let window = settings.knocks.window.as_secs();
        Finding::warning(
            format!(
                "the clock is not synchronised: once it is more than {window} s off, every knock is \
                 refused"
            ),
            "run an NTP client, such as `systemctl enable --now systemd-timesyncd`",
        )
    })
}

fn policy(settings: &Settings) -> Option<Finding> {
    let firewall = &settings.firewall;
    match (firewall.policy, firewall.protected.is_empty()) {
        (FirewallPolicy::None, _) => Some(Finding::warning(
            "firewallPolicy = none: sknock hides nothing, whatever is open stays open",
            "set protectedPorts, and firewallPolicy to reject or drop",
        )),
        (_, true) => Some(Finding::note(
            "all traffic to this host is denied but alwaysOpenPorts and knocks, tunnels and other \
             IP protocols (ESP, GRE, OSPF) too",
            "set protectedPorts to hide only those ports",
        )),
        (_, false) => None,
    }
}
