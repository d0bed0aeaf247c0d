//! Flows of UDP that begin at a port of sKnock, by chance. Whom a program of this host asks from a protected port
//! reaches whatever listens there, without a grant. At the knock port no answer arrives.

use sknock_protocol::{Service, Transport};

use super::Finding;
use crate::config::{FirewallPolicy, Intake, Settings};

/// Adds which protected ports, and which knock ports, are among those that the kernel chooses for sockets that name
/// none.
pub(super) fn examine(settings: &Settings, chosen: &[(u16, u16)], findings: &mut Vec<Finding>) {
    if settings.firewall.policy == FirewallPolicy::None {
        return;
    }
    findings.extend(knock_ports(settings, chosen));
    let udp = |service: &&Service| service.transport() == Transport::Udp;
    let protected = settings.firewall.protected.iter().filter(udp);
    let meets = |service: &&Service| {
        chosen.iter().any(|(first, last)| service.first() <= *last && *first <= service.last())
    };
    let met: Vec<&Service> = protected.filter(meets).collect();
    if met.is_empty() {
        return;
    }
    let list = |part: fn(Service) -> String| {
        met.iter().map(|service| part(**service)).collect::<Vec<_>>().join(",")
    };
    findings.push(Finding::warning(
        format!(
            "protectedPorts: the kernel may choose {} for any program of this host \
             (net.ipv4.ip_local_port_range): whom it sends to from there reaches that port without a grant, \
             as long as the flow lasts",
            list(|service| service.to_string())
        ),
        format!(
            "reserve them: net.ipv4.ip_local_reserved_ports={}, behind what it has already, by sysctl and \
             in /etc/sysctl.d; then reload",
            list(span)
        ),
    ));
}

/// Tunnels that send from ports which nobody has chosen; the kernel does not spare reserved ones.
pub(super) fn tunnels(settings: &Settings, tunnels: &[(String, String)]) -> Option<Finding> {
    let protected = &settings.firewall.protected;
    let udp = |service: &Service| service.transport() == Transport::Udp;
    let concerns = settings.firewall.policy != FirewallPolicy::None
        && (protected.is_empty() || protected.iter().any(udp));
    let names: Vec<String> =
        tunnels.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
    (concerns && !names.is_empty()).then(|| {
        Finding::note(
            format!(
                "{}: the kernel chooses the UDP source port by what the tunnel carries. If that is a protected \
                 port, the peer reaches it without a grant",
                names.join(", ")
            ),
            "set the ports of VXLAN to ports without a service (ip link add ... srcport LOW HIGH), or accept \
             packets of the tunnel from known addresses only, by a rule of another table (docs/THREATS.md, UDP \
             flows)"
                .to_owned(),
        )
    })
}

/// In deny-all mode: a knock port that nobody binds, and that is for knocks only.
fn knock_ports(settings: &Settings, chosen: &[(u16, u16)]) -> Option<Finding> {
    if !settings.firewall.protected.is_empty() || settings.knocks.intake != Intake::Nflog {
        return None;
    }
    let open = &settings.firewall.always_open;
    let meets = |service: &&Service| {
        let within = |&(first, last): &(u16, u16)| (first..=last).contains(&service.first());
        let is_open = open.iter().any(|open| open.contains(Transport::Udp, service.first()));
        service.width() == 1 && chosen.iter().any(within) && !is_open
    };
    let met: Vec<String> =
        settings.knocks.ports.iter().filter(meets).map(|&service| span(service)).collect();
    (!met.is_empty()).then(|| {
        let ports = met.join(",");
        Finding::note(
            format!(
                "knockPort: the kernel may choose {ports} for any program of this host \
                 (net.ipv4.ip_local_port_range). In deny-all mode that program gets no answers there"
            ),
            format!(
                "reserve it: net.ipv4.ip_local_reserved_ports={ports}, behind what it has already, by \
                 sysctl and in /etc/sysctl.d"
            ),
        )
    })
}

/// As the kernel reads it.
fn span(service: Service) -> String {
    let (first, last) = (service.first(), service.last());
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Finding, examine, tunnels};
    use crate::config::{self, Settings};

    fn settings(lines: &str) -> Settings {
        let text = format!("[DEFAULT]\nserverPFXFile = x.pfx\nuser = nobody\n{lines}\n");
        config::parse(&text, Path::new("/x.ini"), std::iter::empty()).unwrap()
    }

    fn judged(lines: &str, chosen: &[(u16, u16)]) -> Vec<Finding> {
        let mut findings = Vec::new();
        examine(&settings(lines), chosen, &mut findings);
        findings
    }

    #[test]
    fn tunnels_are_named_where_udp_is_protected() {
        let found = |lines, all: &[(&str, &str)]| {
            let all = all.iter().map(|(name, kind)| (name.to_string(), kind.to_string()));
            tunnels(&settings(lines), &all.collect::<Vec<_>>())
        };
        let vxlan = &[("vx0", "vxlan"), ("vx1", "geneve")][..];
        for lines in ["", "protectedPorts = tcp/22, udp/40000"] {
            let found = found(lines, vxlan).unwrap();
            assert!(found.what.starts_with("vx0 (vxlan), vx1 (geneve): "), "{found:?}");
        }
        for (lines, all) in
            [("", &[][..]), ("protectedPorts = tcp/22", vxlan), ("firewallPolicy = none", vxlan)]
        {
            assert_eq!(found(lines, all), None, "{lines}");
        }
    }

    #[test]
    fn an_ephemeral_knock_port_is_reported_in_deny_all_mode() {
        let all = &[(1024, 65_535)][..];
        let [found] = &*judged("", all) else { panic!() };
        assert!(found.what.contains("may choose 62344 for any program"), "{found:?}");
        assert!(found.remedy.contains("reserved_ports=62344,"), "{found:?}");
        for (lines, chosen) in [
            ("", &[][..]),
            ("", &[(32_768, 62_343), (62_345, 65_535)]),
            ("protectedPorts = tcp/22", all),
            ("firewallPolicy = none", all),
            ("intake = socket", all),
            ("alwaysOpenPorts = udp/62344", all),
            ("knockPort = 10000-60000", all),
        ] {
            assert_eq!(judged(lines, chosen), [], "{lines} {chosen:?}");
        }
    }

    #[test]
    fn ephemeral_protected_ports_are_reported_with_the_sysctl_to_set() {
        let lines = "protectedPorts = tcp/40000, udp/40000, udp/50000-50010, udp/51820";
        let [found] = &*judged(lines, &[(32_768, 50_005)]) else { panic!() };
        assert!(found.what.contains("udp/40000,udp/50000-50010 for any program"), "{found:?}");
        assert!(found.remedy.contains("reserved_ports=40000,50000-50010,"), "{found:?}");
        for (lines, chosen) in [
            (lines, &[][..]),
            (lines, &[(32_768, 39_999), (40_001, 49_999), (50_011, 51_819)]),
            ("protectedPorts = tcp/40000", &[(32_768, 60_999)]),
            ("", &[(32_768, 60_999)]),
        ] {
            assert_eq!(judged(lines, chosen), [], "{lines} {chosen:?}");
        }
    }
}
