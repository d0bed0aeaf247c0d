//! CPU affinity, and the kernel threads that work for all processes.

use std::fs;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use sknock_tests::Daemon;

use crate::stopwatch::cpu_of;

/// The core of the bench during sending, and so of the receiving half of every packet: a veth pair delivers
/// on the sender's core.
pub(crate) const SENDER: usize = 0;

/// The core of a daemon that gets one core, and of the code compared with it.
pub(crate) const DAEMON: usize = 1;

/// Pins the calling thread, and its later threads, to one core.
pub(crate) fn stay_on(core: usize) {
    pin(Pid::from_raw(0), &[core]);
}

/// Lets the calling thread, and its later threads, run on both cores again.
pub(crate) fn go_anywhere() {
    pin(Pid::from_raw(0), &[SENDER, DAEMON]);
}

/// Pins every thread of both processes to these cores.
pub(crate) fn keep_on(daemon: &Daemon<'_>, cores: &[usize]) {
    for process in [daemon.parent(), daemon.network()] {
        keep_process_on(process, cores);
    }
}

/// Pins every thread of a process, and its later children, to these cores.
pub(crate) fn keep_process_on(process: Pid, cores: &[usize]) {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let numbers = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.for_each(|number| pin(Pid::from_raw(number), cores));
}

fn pin(thread: Pid, cores: &[usize]) {
    let mut set = CpuSet::new();
    let mut all = cores.iter().try_for_each(|&core| set.set(core));
    all = all.and_then(|()| sched_setaffinity(thread, &set));
    all.unwrap_or_else(|error| {
        panic!("cannot keep a thread on {cores:?}: {error}; this takes a machine with two cores")
    });
}

/// CPU time of a daemon's two processes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// The network process.
    pub(crate) network: Duration,
    /// The privileged process.
    pub(crate) privileged: Duration,
}

impl Spent {
    /// Since their start.
    pub(crate) fn by(daemon: &Daemon<'_>) -> Self {
        Self { network: cpu_of(daemon.network()), privileged: cpu_of(daemon.parent()) }
    }

    /// Since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            network: self.network.saturating_sub(before.network),
            privileged: self.privileged.saturating_sub(before.privileged),
        }
    }

    /// Both processes.
    pub(crate) fn both(self) -> Duration {
        self.network + self.privileged
    }
}

/// The ksoftirqd threads, which take over softirqs under load.
#[derive(Debug)]
pub(crate) struct Softirqs(Vec<Pid>);

impl Softirqs {
    /// Finds them.
    pub(crate) fn find() -> Self {
        let processes = fs::read_dir("/proc").into_iter().flatten();
        let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let is_one = |number: &i32| {
            fs::read_to_string(format!("/proc/{number}/comm"))
                .is_ok_and(|name| name.starts_with("ksoftirqd/"))
        };
        Self(numbers.filter(is_one).map(Pid::from_raw).collect())
    }

    /// CPU time of all of them.
    pub(crate) fn spent(&self) -> Duration {
        self.0.iter().map(|&pid| cpu_of(pid)).sum()
    }
}
