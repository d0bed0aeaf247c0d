//! Would the administrator lock themselves out? Connections to ports that new ones will need a knock for.

use std::collections::BTreeMap;

use sknock_protocol::service::all_covered;
use sknock_protocol::{Service, Transport};

use super::{Finding, Host, Session, Severity};
use crate::config::{FirewallPolicy, Settings};

/// More are not told, of each port.
const MAX_LISTED: usize = 5;

const REMEDY: &str = "Start with `sknockd run --confirm 120`, or with `sknockd reload --confirm 120` \
                      where a server runs, and keep this connection until a knock has worked. Or \
                      add the port to alwaysOpenPorts";

/// Adds what there is to be told of the administrator's own connection. Where that is not known, of all.
pub(super) fn examine(settings: &Settings, host: &Host, findings: &mut Vec<Finding>) {
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
