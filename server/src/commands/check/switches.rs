//! The kernel: switches that end sessions earlier than without sknock or leave published ports less protected, and
//! whether this user namespace contains the user of the network process.

use std::fs;

use nix::unistd::{Uid, User, geteuid};

use super::{Finding, Host};

/// As the kernel has them; `None` where it has no such switch, or it cannot be read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Switches {
    /// `net.ipv4.ip_early_demux`, which counts for IPv6 too, and `net.ipv4.tcp_early_demux`.
    pub early_demux: [Option<u64>; 2],
    /// `net.netfilter.nf_conntrack_tcp_timeout_established`, in seconds.
    pub established: Option<u64>,
    /// `net.ipv4.ip_forward`.
    pub forwards: Option<u64>,
    /// The higher one of `net.ipv4.conf.all.rp_filter` and `net.ipv4.conf.default.rp_filter`; 1 is strict.
    pub rp_filter: Option<u64>,
}

/// A session that says nothing for so long is not unusual. In seconds.
const IDLE: u64 = 3600;

impl Switches {
    pub(super) fn read() -> Self {
        let switch = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?;
            text.trim().parse().ok()
        };
        Self {
            early_demux: ["ipv4/ip_early_demux", "ipv4/tcp_early_demux"].map(switch),
            forwards: switch("ipv4/ip_forward"),
            // The kernel takes the maximum of `all` and the interface's own value, which begins as `default`
            // (ip-sysctl.rst).
            rp_filter: switch("ipv4/conf/all/rp_filter").max(switch("ipv4/conf/default/rp_filter")),
            established: switch("netfilter/nf_conntrack_tcp_timeout_established"),
        }
    }

    pub(super) fn examine(self, findings: &mut Vec<Finding>) {
        // In `input`, `meta skuid` reads the socket that early demux has attached to the packet.
        for (name, _) in ["net.ipv4.ip_early_demux", "net.ipv4.tcp_early_demux"]
            .into_iter()
            .zip(self.early_demux)
            .filter(|(_, switch)| *switch == Some(0))
        {
            findings.push(Finding::warning(
                format!(
                    "{name} is 0: after the conntrack entry of a session is lost (`conntrack \
                     -F`, notrack), its packets are refused"
                ),
                format!("Run: sysctl {name}=1, which is the default of the kernel"),
            ));
        }
        if self.forwards == Some(1) && self.rp_filter.is_some_and(|switch| switch != 1) {
            findings.push(Finding::note(
                "this host forwards, and net.ipv4.conf.all.rp_filter is not 1: a packet that is forged from the \
                 address of a machine behind it may pass. If its UDP port is published (DNAT) and it dials out in \
                 this host's name (masquerade), its sender may reach that port without a grant",
                "Run: sysctl net.ipv4.conf.all.rp_filter=1, if packets do not take another way back than they came; \
                 for IPv6, a rule in prerouting: fib saddr . iif oif missing drop",
            ));
        }
        if let Some(seconds) = self.established.filter(|seconds| *seconds < IDLE) {
            findings.push(Finding::note(
                format!(
                    "net.netfilter.nf_conntrack_tcp_timeout_established is {seconds} s: a \
                     session that is idle for longer loses its conntrack entry. To a forwarded \
                     port (DNAT) it then needs another knock"
                ),
                "Raise it (the default of the kernel is 432000), or let sessions send \
                 keepalives: ServerAliveInterval of ssh",
            ));
        }
    }
}

/// What becomes of the user of this name, or number, where we are root and so have to become it.
pub(super) fn look_up_mapping(user: &str, host: &mut Host) {
    let found = match user.parse().map(Uid::from_raw) {
        Ok(uid) => User::from_uid(uid),
        Err(_) => User::from_name(user),
    };
    let Ok(Some(found)) = found else { return };
    if !geteuid().is_root() {
        return;
    }
    let is_mapped = |map: &str, number| {
        let map = fs::read_to_string(format!("/proc/self/{map}"));
        // A kernel without user namespaces knows all.
        map.map_or(true, |map| has(&map, number))
    };
    if !is_mapped("uid_map", found.uid.as_raw()) || !is_mapped("gid_map", found.gid.as_raw()) {
        host.unmapped = Some(format!("{user} (uid {}, gid {})", found.uid, found.gid));
    }
}

/// Whether a map, lines of first inside, first outside and how many, has this number inside.
fn has(map: &str, number: u32) -> bool {
    map.lines().any(|line| {
        let mut words = line.split_whitespace().map(str::parse::<u32>);
        match (words.next(), words.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) => {
                number.checked_sub(first).is_some_and(|place| place < count)
            }
            _ => false,
        }
    })
}

/// Adds that the user namespace does not contain that user: in a container with one user nobody can become another.
pub(super) fn examine_mapping(host: &Host, findings: &mut Vec<Finding>) {
    findings.extend(host.unmapped.iter().map(|user| {
        Finding::error(
            format!(
                "user: this user namespace does not contain {user}: the network process cannot \
                 switch to it"
            ),
            "Map it (for a container: map more uids and gids than one), or run sknockd outside",
        )
    }));
}

#[cfg(test)]
mod tests {
    use super::{Finding, Switches, has};

    fn told(switches: Switches) -> Vec<String> {
        let mut findings: Vec<Finding> = Vec::new();
        switches.examine(&mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn default_or_unreadable_switches_are_not_reported() {
        let none: [String; 0] = [];
        assert_eq!(told(Switches::default()), none);
        let usual = Switches {
            early_demux: [Some(1); 2],
            established: Some(432_000),
            forwards: Some(1),
            rp_filter: Some(1),
        };
        assert_eq!(told(usual), none);
    }

    #[test]
    fn what_ends_sessions_early_is_named() {
        let odd = Switches {
            early_demux: [Some(0), Some(1)],
            established: Some(600),
            ..Switches::default()
        };
        let [demux, timeout] = &*told(odd) else { panic!() };
        assert!(demux.starts_with("net.ipv4.ip_early_demux is 0: "), "{demux}");
        assert!(timeout.contains("timeout_established is 600 s: "), "{timeout}");
        let tcp = Switches {
            early_demux: [Some(1), Some(0)],
            established: Some(3600),
            ..Switches::default()
        };
        assert!(told(tcp)[0].starts_with("net.ipv4.tcp_early_demux is 0: "));
    }

    #[test]
    fn what_a_map_has_is_known() {
        let all = "         0          0 4294967295\n";
        assert!(has(all, 0) && has(all, 65534));
        let one = "0 1000 1\n";
        assert!(has(one, 0) && !has(one, 1) && !has(one, 65534));
        let two = "0 1000 1\n1 100000 65536\n";
        assert!(has(two, 65534) && !has(two, 65537));
        assert!(!has("", 0) && !has("odd", 0));
    }

    #[test]
    fn a_router_that_does_not_check_sources_is_named() {
        let router =
            |forwards, rp_filter| told(Switches { forwards, rp_filter, ..Switches::default() });
        let [one] = &*router(Some(1), Some(2)) else { panic!() };
        assert!(one.contains("rp_filter is not 1"), "{one}");
        for usual in [(Some(0), Some(0)), (Some(1), Some(1)), (None, Some(0)), (Some(1), None)] {
            assert_eq!(router(usual.0, usual.1).len(), 0, "{usual:?}");
        }
    }
}
