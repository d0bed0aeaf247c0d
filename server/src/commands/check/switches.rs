//! Switches of the kernel that end sessions earlier than without sknock.

use std::fs;

use super::Finding;

/// As the kernel has them; `None` where it has no such switch, or it cannot be read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Switches {
    /// `net.ipv4.ip_early_demux`, which counts for IPv6 too, and `net.ipv4.tcp_early_demux`.
    pub early_demux: [Option<u64>; 2],
    /// `net.netfilter.nf_conntrack_tcp_timeout_established`, in seconds.
    pub established: Option<u64>,
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
            established: switch("netfilter/nf_conntrack_tcp_timeout_established"),
        }
    }

    pub(super) fn examine(self, findings: &mut Vec<Finding>) {
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

#[cfg(test)]
mod tests {
    use super::{Finding, Switches};

    fn told(switches: Switches) -> Vec<String> {
        let mut findings: Vec<Finding> = Vec::new();
        switches.examine(&mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn defaults_and_what_cannot_be_read_are_nothing_to_tell() {
        let none: [String; 0] = [];
        assert_eq!(told(Switches::default()), none);
        let usual = Switches { early_demux: [Some(1); 2], established: Some(432_000) };
        assert_eq!(told(usual), none);
    }

    #[test]
    fn what_ends_sessions_early_is_named() {
        let odd = Switches { early_demux: [Some(0), Some(1)], established: Some(600) };
        let [demux, timeout] = &*told(odd) else { panic!() };
        assert!(demux.starts_with("net.ipv4.ip_early_demux is 0: "), "{demux}");
        assert!(timeout.contains("timeout_established is 600 s: "), "{timeout}");
        let tcp = Switches { early_demux: [Some(1), Some(0)], established: Some(3600) };
        assert!(told(tcp)[0].starts_with("net.ipv4.tcp_early_demux is 0: "));
    }
}
