//! The host: is the user there, can the state be kept, does another firewall block knocks or make a protected port look
//! unlike its neighbours, and would the administrator lock themselves out.

use std::collections::BTreeMap;

use sknock_protocol::service::all_covered;
use sknock_protocol::{Service, Transport};

use super::{
    ConfiguredFiles, Finding, Host, Manner, NeighbourPorts, Session, Severity, StateFolder, report,
    switches,
};
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
    switches::examine_mapping(host, findings);
    beside(settings, host, findings);
    sessions(settings, host, findings);
    findings.extend(policy(settings));
    findings.extend(shut(settings));
    findings.extend(clock(settings, host));
    around(host, findings);
    report::untested(host, findings);
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
        StateFolder::NotCreatable { above, error } => Some(Finding::error(
            format!("stateDir: a start could not make {path} in {}: {error}", above.display()),
            "Correct stateDir, or make the directory and give it to the user of sknockd",
        )),
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
        StateFolder::Present { owner, foreign: true, .. } if !is_of_unit(*owner, found) => {
            Some(Finding::error(
                format!(
                    "stateDir: {path} belongs to uid {owner} and holds files that are not from sknockd: a \
                     start would be refused"
                ),
                "Set an empty or new directory",
            ))
        }
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

/// Whether this is the user of the network process.
fn is_of_unit(owner: u32, found: &ConfiguredFiles) -> bool {
    found.user.as_ref().ok().copied().flatten() == Some(owner)
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

/// Adds where a protected port does not look like the ports beside it, as other firewalls make these: where another
/// policy would hide it better, and where none does.
fn beside(settings: &Settings, host: &Host, findings: &mut Vec<Finding>) {
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

/// More are not told, of each port.
const MAX_LISTED: usize = 5;

const REMEDY: &str = "Start with `sknockd run --confirm 120`, or with `sknockd reload --confirm 120` \
                      where a server runs, and keep this connection until a knock has worked. Or \
                      add the port to alwaysOpenPorts";

/// Adds what there is to be told of the administrator's own connection. Where that is not known, of all.
fn sessions(settings: &Settings, host: &Host, findings: &mut Vec<Finding>) {
    // Who has opened it can do so again.
    let opened = |session: &Session| host.doors.contains(&(session.from, session.port));
    let locked_out = |session: &Session| needs_a_knock(settings, session.port) && !opened(session);
    if let Some(login) = &host.login {
        findings.extend(locked_out(login).then(|| yours(login.port)));
        return;
    }
    let mut ports: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for session in host.sessions.iter().filter(|session| locked_out(session)) {
        ports.entry(session.port).or_default().push(session.from.to_string());
    }
    findings.extend(ports.into_iter().map(|(port, from)| others(host, port, &from)));
}

fn yours(port: u16) -> Finding {
    let what = format!(
        "your SSH connection uses tcp/{port}. New connections to it will need a grant, and you \
         have none"
    );
    Finding::warning(what, REMEDY)
}

/// Once it is protected, that somebody is in is no surprise.
fn others(host: &Host, port: u16, from: &[String]) -> Finding {
    let more = from.len().saturating_sub(MAX_LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let from = from.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
    let what = format!(
        "there are connections to tcp/{port} (from {from}{more}), and one of them may be yours. \
         New connections to it will need a grant, and these addresses have none"
    );
    let severity = if host.protecting { Severity::Note } else { Severity::Warning };
    Finding { severity, what, remedy: REMEDY.to_owned() }
}

fn needs_a_knock(settings: &Settings, port: u16) -> bool {
    let firewall = &settings.firewall;
    let Some(service) = Service::new(Transport::Tcp, port, port) else { return false };
    firewall.policy != FirewallPolicy::None
        && !all_covered(&service, &firewall.always_open)
        && (firewall.protected.is_empty() || all_covered(&service, &firewall.protected))
}
