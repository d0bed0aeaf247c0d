//! The machine on which the figures were measured.

use std::fs;
use std::thread;

/// A paragraph to print above the tables.
pub(crate) fn conditions() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(": ")?.1.trim().to_owned())
    };
    let or_unknown = |found: Option<String>| found.unwrap_or_else(|| "unknown".to_owned());
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let virtual_machine = field("flags").is_some_and(|flags| flags.contains("hypervisor"));
    let build =
        if cfg!(debug_assertions) { "DEBUG BUILD: the figures mean nothing" } else { "release" };
    format!(
        "CPU: {}, {cores} cores, {} MHz{}. Kernel: {}. Load before: {}. Build: {build}.\n\
         Client and server are network namespaces of one machine, joined by a veth cable.\n",
        or_unknown(field("model name")),
        or_unknown(field("cpu MHz")),
        if virtual_machine { ", virtual machine" } else { "" },
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    )
}
