//! What arrived at UDP sockets of a namespace, by the kernel's own count.

use std::fs;
use std::thread;
use std::time::Duration;

use sknock_tests::Namespace;

/// Counts since the namespace was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Received {
    /// Datagrams that were read.
    pub(crate) read: u64,
    /// Datagrams for which a socket had no room.
    pub(crate) full: u64,
}

/// Between two looks; far longer than any reader needs for what a buffer holds a part of.
const PAUSE: Duration = Duration::from_millis(30);

impl Received {
    /// By now.
    pub(crate) fn by(namespace: &Namespace) -> Self {
        let text = namespace.inside(|| fs::read_to_string("/proc/thread-self/net/snmp"));
        let text = text.expect("every namespace has it");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let count = |name: &str| {
            let mut pairs = names.split(' ').zip(values.split(' '));
            let found = pairs.find(|(each, _)| *each == name);
            found.and_then(|(_, value)| value.parse().ok()).expect("the kernel counts it")
        };
        Self { read: count("InDatagrams"), full: count("RcvbufErrors") }
    }

    /// When nothing more is being read.
    pub(crate) fn settled(namespace: &Namespace) -> Self {
        let mut last = Self::by(namespace);
        loop {
            thread::sleep(PAUSE);
            let now = Self::by(namespace);
            if now == last {
                return now;
            }
            last = now;
        }
    }

    /// Since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { read: self.read - before.read, full: self.full - before.full }
    }
}
