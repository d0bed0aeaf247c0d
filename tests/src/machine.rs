//! A booted machine: systemd is its first process, its disk is a temporary overlay of this one's, and its
//! network is a namespace of the test.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::binaries;
use crate::wait::{some, until};
use crate::{Mounts, Namespace, process};

mod groups;

use groups::Groups;

/// Ended when dropped.
#[derive(Debug)]
pub struct Machine {
    container: Child,
    /// systemd.
    first: Pid,
    mounts: Mounts,
    root: PathBuf,
    _folder: TempDir,
    _groups: Groups,
}

/// What programs need to confine themselves, which a container does not leave them.
const CONFINING: &str =
    "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self";

/// What may be written to its disk.
const ROOM: u64 = 512 << 20;

impl Machine {
    /// Boots it with `network`, up to where services could be started.
    pub fn boot(network: &Namespace) -> Self {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let (mounts, root) = (Mounts::new(), folder.path().join("root"));
        mounts.whole_disk(&root, &folder.path().join("changes"), ROOM);
        let groups = Groups::new();
        let container = mounts.inside(|| {
            let namespace = format!("--network-namespace-path=/run/netns/{}", network.name());
            let mut nspawn = groups.enter("systemd-nspawn");
            nspawn.arg("--directory").arg(&root).arg(namespace);
            nspawn.args(["--quiet", "--register=no", "--keep-unit", "--link-journal=no"]);
            // As on a machine: the firewall is its own, and programs may confine themselves.
            nspawn.args(["--capability=CAP_NET_ADMIN", CONFINING]);
            nspawn.args(["--console=pipe", "--boot", "--", "systemd.unit=sysinit.target"]);
            nspawn.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        });
        let container = container.expect("every machine has a shell");
        let nspawn = Pid::from_raw(container.id().cast_signed());
        let is_systemd =
            |pid: &Pid| process::status(*pid, "Name").is_some_and(|is| is == "systemd");
        let first = some("systemd runs", || process::children(nspawn).into_iter().find(is_systemd));
        let machine = Self { container, first, mounts, root, _folder: folder, _groups: groups };
        until("it has booted", || machine.systemctl("is-active sysinit.target") == "active");
        machine
    }

    /// Writes a file on its disk, with this mode.
    pub fn write(&self, path: &str, content: &[u8], mode: u32) {
        let path = self.root.join(path.trim_start_matches('/'));
        self.mounts.inside(|| {
            fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("our disk");
            if mode & 0o111 == 0 {
                fs::write(&path, content).expect("our disk has room");
            } else {
                binaries::executable(&path, content);
            }
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("our disk");
        });
    }

    /// Runs a program in it as root, which must work; what it printed.
    #[track_caller]
    pub fn run(&self, words: &str) -> String {
        let Output { status, stdout, stderr } = self.output(words);
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{words}: {status}\n{said}");
        String::from_utf8(stdout).expect("it prints text")
    }

    /// What `systemctl` answers, however it ends.
    pub fn systemctl(&self, words: &str) -> String {
        let output = self.output(&format!("systemctl {words}"));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// What a unit has written to the journal.
    pub fn journal(&self, unit: &str) -> String {
        self.run(&format!("journalctl --quiet --no-pager --output=cat --unit={unit}"))
    }

    fn output(&self, words: &str) -> Output {
        let mut enter = Command::new("nsenter");
        enter.args(["--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup"]);
        enter.arg(format!("--target={}", self.first)).args(words.split_whitespace());
        enter
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        enter.stdin(Stdio::null()).output().expect("util-linux has it")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All that runs in it ends with its first process.
        let _ = kill(self.first, Signal::SIGKILL);
        let _ = self.container.wait();
    }
}
