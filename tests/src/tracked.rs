//! What conntrack has, as the kernel lists it.

use std::fs;

use crate::Namespace;

/// Enables connection tracking in a namespace whose other tables do not need it.
const TRACKING: &str = "table inet tracking {
    chain input { type filter hook input priority 100; ct state established accept; }
}";

impl Namespace {
    /// Has conntrack at work, whatever tables there are.
    pub fn track_connections(&self) {
        self.nft(TRACKING);
    }

    /// Every entry: `ipv4 2 udp 17 29 src=10.77.1.2 dst=10.77.1.1 sport=40000 dport=53 ...`.
    #[track_caller]
    pub fn tracked(&self) -> Vec<String> {
        let listed = self.inside(|| fs::read_to_string("/proc/thread-self/net/nf_conntrack"));
        let listed = listed.expect("a kernel with CONFIG_NF_CONNTRACK_PROCFS");
        listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The UDP entries with this port at either end, without loopback.
    #[track_caller]
    pub fn tracked_udp(&self, port: u16) -> Vec<String> {
        let ours = [format!("sport={port}"), format!("dport={port}")];
        let concerns = |line: &String| {
            let mut words = line.split(' ');
            let own = line.contains("src=127.0.0.1 ") || line.contains(":0001 dst=0000:");
            let udp = words.any(|word| word == "udp");
            udp && !own && words.any(|word| ours.iter().any(|one| one == word))
        };
        self.tracked().into_iter().filter(concerns).collect()
    }
}
