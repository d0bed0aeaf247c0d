//! A program in a namespace, with its children: their CPU time and their end.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use sknock_tests::{Namespace, process, wait};

use crate::stopwatch::cpu_while_it_runs;

/// Killed when dropped, with its descendants.
#[derive(Debug)]
pub(super) struct Running(Child);

impl Running {
    /// Starts it, and waits until it has written `ready` to the file `said`.
    pub(super) fn start(
        namespace: &Namespace,
        command: &mut Command,
        said: &Path,
        ready: &str,
    ) -> Self {
        let file = File::create(said).expect("our folder");
        let errors = file.try_clone().expect("a free descriptor");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let started = namespace.inside(|| command.spawn());
        let running =
            Self(started.unwrap_or_else(|error| panic!("{command:?}: {error} (make bench-peers)")));
        wait::until(&format!("{ready:?} in what {command:?} says"), || {
            fs::read_to_string(said).is_ok_and(|text| text.contains(ready))
        });
        running
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).expect("Linux counts to 2^22"))
    }

    /// CPU time of the process, of its descendants, and of those that have ended and were waited for, which
    /// Linux counts in ticks of 10 ms.
    pub(super) fn spent(&self) -> Duration {
        let mut all = vec![self.pid()];
        all.extend(descendants(self.pid()));
        // A process that ends during the reading is counted with its parent the next time.
        let spent = |&pid: &Pid| Some(cpu_while_it_runs(pid)? + buried(pid));
        all.iter().filter_map(spent).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let descendants = descendants(self.pid());
        // ESRCH: it has already ended.
        let _ = self.0.kill();
        for pid in descendants {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

fn descendants(pid: Pid) -> Vec<Pid> {
    let children = process::children(pid);
    let below = children.iter().flat_map(|&child| descendants(child)).collect::<Vec<_>>();
    children.into_iter().chain(below).collect()
}

/// Fields 16 and 17 of /proc/PID/stat, which follow a name that may contain any character; the last
/// parenthesis ends it.
fn buried(pid: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(13).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    let second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_secs(1) * ticks / u32::try_from(second).unwrap_or(100)
}
