//! A process's state in the kernel.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until;

/// The processes that `pid`'s main thread has started.
pub fn children(pid: Pid) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let listed = listed.unwrap_or_default();
    let numbers = listed.split_whitespace().filter_map(|number| number.parse().ok());
    numbers.map(Pid::from_raw).collect()
}

/// One line of /proc/PID/status, without its name; `None` if the process is gone.
pub fn status(pid: Pid, line: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|each| each.strip_prefix(line)?.strip_prefix(':'));
    Some(value.unwrap_or_else(|| panic!("no {line} in /proc/{pid}/status")).trim().to_owned())
}

/// Whether `child` has become a program of its own: before that, its parent waits for it.
pub fn has_begun(parent: Pid, child: Pid) -> bool {
    let arguments = |pid: Pid| fs::read(format!("/proc/{pid}/cmdline"));
    matches!((arguments(parent), arguments(child)), (Ok(of_parent), Ok(of_child)) if of_parent != of_child)
}

/// Whether it still runs; a zombie does not.
pub fn runs(pid: Pid) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Stops it, and waits until all its threads are stopped: one that was just woken up still completes its
/// system call.
pub fn stop(pid: Pid) {
    kill(pid, Signal::SIGSTOP).expect("it runs");
    let stands = |thread: fs::DirEntry| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
    };
    until("it stands still", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it is still there");
        threads.flatten().all(stands)
    });
}

/// How many descriptors it has open.
pub fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs, and we are root").count()
}

/// Sets the soft limit of a running process, as prlimit(1) names it: `nofile`, `data`, ...
pub fn limit(pid: Pid, resource: &str, most: u64) {
    // Its own user may; root may not in every container.
    let of = |line| status(pid, line).expect("it runs").split('\t').next().map(str::to_owned);
    let (uid, gid) = (of("Uid").expect("a number"), of("Gid").expect("a number"));
    let ran = Command::new("setpriv")
        .args(["--reuid", &uid, "--regid", &gid, "--clear-groups"])
        .args(["prlimit", "--pid", &pid.to_string(), &format!("--{resource}={most}:")])
        .status();
    assert!(ran.is_ok_and(|status| status.success()), "prlimit --{resource}={most}: for {pid}");
}
