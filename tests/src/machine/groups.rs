//! Control groups for a machine: where its systemd keeps its services, apart from those of any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// One below our own in each hierarchy that systemd would use. Removed when dropped.
#[derive(Debug)]
pub(super) struct Groups(Vec<PathBuf>);

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Groups {
    /// Makes them.
    pub(super) fn new() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").expect("Linux has control groups");
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("Linux has mounts");
        // Several machines of one test program run at the same time.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // `12:cpu,cpuacct:/path`; without controllers it is version 2.
        let ours = own.lines().filter_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (controllers, path) = line.split_once(':')?;
            let at = match controllers {
                "" => mounted(&mounts, " - cgroup2 ", "")?,
                "name=systemd" => mounted(&mounts, " - cgroup ", "name=systemd")?,
                _ => return None,
            };
            let name = format!("sknock-machine-{}-{number}", std::process::id());
            Some(Path::new(at).join(path.trim_start_matches('/')).join(name))
        });
        let groups: Vec<PathBuf> = ours.collect();
        for group in &groups {
            fs::create_dir(group).unwrap_or_else(|error| panic!("{}: {error}", group.display()));
        }
        Self(groups)
    }

    /// A program that runs in them.
    pub(super) fn enter(&self, program: &str) -> Command {
        let enter =
            self.0.iter().map(|group| format!("echo $$ >{}/cgroup.procs && ", group.display()));
        let mut command = Command::new("sh");
        command.arg("-c").arg(enter.collect::<String>() + "exec \"$0\" \"$@\"").arg(program);
        command
    }
}

/// The mount point of a hierarchy of this kind whose options end with `option`.
fn mounted<'a>(mounts: &'a str, kind: &str, option: &str) -> Option<&'a str> {
    let is_it = |line: &&str| line.contains(kind) && line.ends_with(option);
    mounts.lines().find(is_it)?.split(' ').nth(4)
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.0.iter().for_each(|group| remove(group));
    }
}

/// With its subgroups; non-empty ones remain.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    if let Err(error) = fs::remove_dir(group) {
        eprintln!("the control group {} stays: {error}", group.display());
    }
}
