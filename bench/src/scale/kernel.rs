//! Memory and CPU time of the kernel and this process, by the kernel's counters.

use std::fs;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    /// Resident now.
    pub(super) now: f64,
    /// The peak since [`forget_peak`].
    pub(super) peak: f64,
}

impl Resident {
    /// As it is now.
    pub(super) fn of(process: Pid) -> Self {
        let status = read(&format!("/proc/{process}/status"));
        let mib = |name: &str| number(&status, name) / 1024.0;
        Self { now: mib("VmRSS:"), peak: mib("VmHWM:") }
    }
}

/// Resets the peak of a process.
pub(super) fn forget_peak(process: Pid) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("we are root");
}

/// Memory of the whole kernel, in MiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// Slab objects that are charged to a memory cgroup, such as elements of sets.
    pub(super) objects: f64,
    /// vmalloc memory, such as hash tables.
    pub(super) mapped: f64,
}

impl Kernel {
    /// As it is now.
    pub(super) fn now() -> Self {
        let mapped = number(&read("/proc/meminfo"), "VmallocUsed:") / 1024.0;
        Self { objects: objects(), mapped }
    }
}

/// The number after `name`.
fn number(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

/// `name active_objs num_objs objsize ...`, of all sizes.
fn objects() -> f64 {
    let size = |line: &str| {
        let mut words = line.strip_prefix("kmalloc-cg-")?.split_whitespace().skip(1);
        let active: f64 = words.next()?.parse().ok()?;
        let size: f64 = words.nth(1)?.parse().ok()?;
        Some(active * size)
    };
    read("/proc/slabinfo").lines().filter_map(size).sum::<f64>() / f64::from(1 << 20)
}

/// CPU time of the kernel's worker threads, which among other work collect expired elements.
pub(super) fn workers() -> Duration {
    let processes = fs::read_dir("/proc").into_iter().flatten();
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_one = |number: &i32| {
        fs::read_to_string(format!("/proc/{number}/comm"))
            .is_ok_and(|name| name.starts_with("kworker/"))
    };
    // Worker threads end at any time.
    let spent = |number| clock_gettime(clock_getcpuclockid(Pid::from_raw(number)).ok()?).ok();
    numbers.filter(is_one).filter_map(spent).map(Duration::from).sum()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
