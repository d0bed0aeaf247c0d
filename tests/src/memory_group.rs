//! A control group with limited memory, as with systemd's `MemoryMax=`; version 1 or 2, whichever has the
//! machine's memory controller.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use crate::Daemon;
use crate::wait::Limit;

/// A group for a server. Declare it before the server: it is removed when dropped, and must be empty.
#[derive(Debug)]
pub struct MemoryGroup {
    /// Keeps the hierarchy mounted.
    root: File,
    name: String,
    files: &'static Files,
}

/// What the kernel calls it.
#[derive(Debug)]
struct Files {
    kind: &'static str,
    options: Option<&'static str>,
    most: &'static str,
    used: &'static str,
    /// Has a line `oom_kill N`.
    events: &'static str,
    /// A file and a value that have it give back what can be read from files again.
    reclaim: (&'static str, &'static str),
    /// A file and a value that keep it out of swap space; there is none if the kernel has no swap.
    no_swap: (&'static str, &'static str),
}

const V1: Files = Files {
    kind: "cgroup",
    options: Some("memory"),
    most: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    events: "memory.oom_control",
    reclaim: ("memory.force_empty", "0"),
    no_swap: ("memory.swappiness", "0"),
};

const V2: Files = Files {
    kind: "cgroup2",
    options: None,
    most: "memory.max",
    used: "memory.current",
    events: "memory.events",
    reclaim: ("memory.reclaim", "1G"),
    no_swap: ("memory.swap.max", "0"),
};

impl MemoryGroup {
    /// Makes one without a limit, beside all others. `name` is the test's own.
    pub fn new(name: &str) -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").expect("Linux has control groups");
        let controllers = own.lines().filter_map(|line| line.split(':').nth(1));
        let is_v1 = controllers.flat_map(|list| list.split(',')).any(|one| one == "memory");
        let files = if is_v1 { &V1 } else { &V2 };
        let root = mounted(files);
        let name = format!("sknock-{name}-{}", std::process::id());
        let group = Self { root, name, files };
        if !is_v1 {
            // Done already where systemd runs.
            let enabled = fs::write(group.top().join("cgroup.subtree_control"), "+memory");
            enabled.unwrap_or_else(|error| panic!("no groups with limits of memory here: {error}"));
        }
        let made = fs::create_dir(group.folder());
        made.unwrap_or_else(|error| panic!("no control group can be made: {error}"));
        let (file, value) = files.no_swap;
        if group.folder().join(file).exists() {
            group.write(file, value);
        }
        group
    }

    /// Has the server run in it from its next start on.
    pub fn hold(&self, daemon: &mut Daemon<'_>) {
        let enter = format!("echo $$ >{}/cgroup.procs && exec \"$@\"", self.folder().display());
        daemon.start_through(&["sh", "-c", &enter, "sh"]);
    }

    /// Sets how much all in it may use together, in bytes.
    pub fn limit(&self, bytes: u64) {
        self.write(self.files.most, &bytes.to_string());
    }

    /// Has them give back what can be read from files again, such as the pages of a journal. The kernel
    /// would do that first, before it kills.
    pub fn reclaim(&self) {
        let (file, value) = self.files.reclaim;
        // The write fails if the kernel reclaims less than requested.
        let _ = fs::write(self.folder().join(file), value);
    }

    /// How much they use, in bytes.
    pub fn used(&self) -> u64 {
        self.read(self.files.used).trim().parse().expect("a number")
    }

    /// How many of them the kernel has killed for using more.
    pub fn killed(&self) -> u64 {
        let events = self.read(self.files.events);
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.expect("Linux 4.13 tells it").parse().expect("a number")
    }

    /// Where others find the hierarchy, too, though they do not see the mount.
    fn top(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.root.as_raw_fd()).into()
    }

    fn folder(&self) -> PathBuf {
        self.top().join(&self.name)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder().join(file)).expect("our group")
    }

    fn write(&self, file: &str, value: &str) {
        let written = fs::write(self.folder().join(file), value);
        written.unwrap_or_else(|error| panic!("{file} of the control group: {error}"));
    }
}

/// The hierarchy, mounted only in this namespace.
fn mounted(files: &'static Files) -> File {
    let folder = TempDir::new().expect("a place for temporary files");
    let (nothing, at) = (None::<&str>, folder.path());
    let mounting = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
        mount(Some(files.kind), at, Some(files.kind), MsFlags::empty(), files.options)?;
        File::open(at)
    };
    let opened: io::Result<File> = thread::scope(|scope| {
        let mounted = scope.spawn(mounting).join();
        mounted.expect("it does not panic")
    });
    opened.unwrap_or_else(|error| {
        panic!(
            "cannot mount {}: {error}; these tests limit memory by a control group, for which they \
             need a machine, or a container, where root may mount",
            files.kind
        )
    })
}

/// How long processes that were killed may take to go.
const GOING: Duration = Duration::from_secs(5);

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let limit = Limit::new(GOING);
        while let Err(error) = fs::remove_dir(self.folder()) {
            if limit.is_over() {
                eprintln!("the control group {} stays: {error}", self.name);
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
