//! What the kernel says of a process.

use std::fs;

use nix::unistd::Pid;

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

/// Whether it still runs; a process that nobody has buried yet does not.
pub fn runs(pid: Pid) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}
