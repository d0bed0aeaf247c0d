//! Irrevocably drops all rights that the network process does not need. Nothing is parsed before.
//!
//! The files that the network process may read in its sandbox, and whether their paths lead to other files by
//! now.
//!
//! Landlock grants files, not paths: a file that was replaced, or that did not exist at the start, stays
//! forbidden for the life of the process. So the privileged process compares, and starts another network
//! process when a path leads elsewhere (`supervisor/supervise/reload.rs`).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use tracing::warn;

use super::syscalls;
use crate::sys::capabilities;

/// Ties the life of this process to `parent` and drops privileges that `exec` gave.
///
/// An error means that the process must end: it would parse network data with too many rights.
pub(crate) fn drop_privileges(parent: Pid) -> io::Result<()> {
    // Here and not before exec: a change of the effective user clears it (prctl(2)).
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended before the call above; then no signal comes.
    if getppid() != parent {
        return Err(io::Error::other("the privileged process has already exited"));
    }
    // Otherwise process lists would show the name "exe" of /proc/self/exe.
    prctl::set_name(c"sknockd-network")?;
    // Must precede the next call, which makes this process's files in /proc owned by root.
    if let Err(error) = killed_first() {
        warn!(%error, "cannot have the network process killed before others where memory is short");
    }
    // No other process of this user can then trace it or read its memory (ptrace(2)), and no core file has
    // the server's key.
    prctl::set_dumpable(false)?;
    // Without it the kernel refuses seccomp(2) and landlock_restrict_self(2) to a process without
    // CAP_SYS_ADMIN.
    prctl::set_no_new_privs()?;
    capabilities::drop_all()
}

/// Makes the OOM killer prefer this process: if compromised, it might have caused the shortage, and the
/// privileged process starts another one. Raising one's own `oom_score_adj` needs no privilege.
fn killed_first() -> io::Result<()> {
    const SCORE: &str = "/proc/self/oom_score_adj";
    let inherited = fs::read_to_string(SCORE)?;
    let inherited: i32 = inherited.trim().parse().map_err(io::Error::other)?;
    fs::write(SCORE, inherited.saturating_add(SOONER).min(1000).to_string())
}

/// Added to the privileged process's `oom_score_adj`, in thousandths of the memory.
const SOONER: i32 = 500;

/// Allows the file system below `writable`, the files for name resolution and TLS, TCP to `ports`, and the
/// listed system calls; all else is refused from here on, for all later threads.
pub(crate) fn enter(writable: &[&Path], ports: &BTreeSet<u16>) -> io::Result<SandboxStatus> {
    let files = restrict_files(writable, ports).map_err(io::Error::other)?;
    syscalls::restrict().map_err(io::Error::other)?;
    Ok(SandboxStatus { files })
}

/// The parts of the sandbox that this kernel supports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SandboxStatus {
    /// Whether the kernel supports Landlock. System calls are filtered in any case.
    pub(crate) files: bool,
}

/// The permitted operations below `stateDir`: on regular files only, so that no folder, link, socket or FIFO
/// can obstruct a later start.
fn kept() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        // These two are enough for rename(2) within one folder, which `PendingFile` needs; `Refer` is for two
        // folders.
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
}

/// Forbids all files except those of [`readable`], and writing except below `writable`.
///
/// Also forbids listening on TCP, connecting to other TCP ports (Linux 6.7 or later) and signals to other
/// processes. Returns whether the kernel supports Landlock (5.13 and later, unless disabled): without it the
/// other restrictions remain.
fn restrict_files(writable: &[&Path], ports: &BTreeSet<u16>) -> Result<bool, RulesetError> {
    // Version 6 (Linux 6.12) has the scopes. On an older kernel the crate leaves out what is missing
    // (`CompatLevel::BestEffort`).
    let abi = ABI::V6;
    let ports =
        ports.iter().map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp)));
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::BindTcp)?
        .handle_access(AccessNet::ConnectTcp)?
        .scope(Scope::from_all(abi))?
        .create()?
        // `path_beneath_rules` leaves out paths that do not exist.
        .add_rules(path_beneath_rules(granted(), AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(writable, kept()))?
        .add_rules(ports)?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Files of the C library's resolver and the TLS root store. All are public, and any may be replaced at run
/// time.
const NAMES: [&str; 17] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/localtime",
    // The C library loads its NSS modules at the first lookup (nsswitch.conf(5)): this file leads to
    // /usr/lib.
    "/etc/ld.so.cache",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    // Programs that keep resolv.conf here replace it often: granting the folder includes new files.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/usr/lib",
    "/usr/lib64",
];

/// Paths that are not replaced at run time, or links to paths above.
const FIXED: [&str; 5] =
    // malloc of glibc asks overcommit_memory when it shrinks a heap; std asks the control group for its CPU
    // quota (`available_parallelism`).
    ["/lib", "/lib64", "/proc/sys/vm/overcommit_memory", "/sys/fs/cgroup", "/dev/urandom"];

/// The variable with the path of the root certificates.
pub(crate) const CERTIFICATES: &str = "SSL_CERT_FILE";

/// All readable paths.
pub(crate) fn granted() -> impl Iterator<Item = PathBuf> {
    named().chain(FIXED.map(PathBuf::from))
}

fn named() -> impl Iterator<Item = PathBuf> {
    let certificates = std::env::var_os(CERTIFICATES).map(PathBuf::from);
    NAMES.map(PathBuf::from).into_iter().chain(certificates)
}

/// The targets of the paths at one time.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct PathMeanings(Vec<Option<Meaning>>);

/// The target of a path, through all symbolic links.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Meaning {
    /// A folder: files in it may change.
    Folder { device: u64, inode: u64 },
    /// A file in one of those folders, which are granted with their content.
    Within(PathBuf),
    /// Any other file. Some are read only once, so a write is a change, too.
    File { device: u64, inode: u64, changed: (i64, i64), size: u64 },
}

impl PathMeanings {
    /// Looks up all paths, and `more` that are read at the start. Inaccessible ones are treated as missing.
    pub(crate) fn look<'a>(more: impl IntoIterator<Item = &'a Path>) -> Self {
        let names: Vec<PathBuf> = named().collect();
        let folders: Vec<PathBuf> = names
            .iter()
            .filter_map(|name| fs::canonicalize(name).ok())
            .filter(|place| place.is_dir())
            .collect();
        let granted = names.iter().map(|name| meaning(name, &folders));
        // Their content was read before the sandbox: being in a granted folder does not make it current.
        let read = more.into_iter().map(|name| meaning(name, &[]));
        Self(granted.chain(read).collect())
    }
}

fn meaning(name: &Path, folders: &[PathBuf]) -> Option<Meaning> {
    let place = fs::canonicalize(name).ok()?;
    let metadata = fs::metadata(&place).ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    if metadata.is_dir() {
        return Some(Meaning::Folder { device, inode });
    }
    if let Some(folder) = folders.iter().find(|folder| place.starts_with(folder)) {
        return Some(Meaning::Within(folder.clone()));
    }
    let changed = (metadata.mtime(), metadata.mtime_nsec());
    Some(Meaning::File { device, inode, changed, size: metadata.len() })
}

/// Whether an environment variable concerns name resolution or TLS.
pub(crate) fn concerns(name: &OsStr) -> bool {
    name == CERTIFICATES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &Path) -> PathMeanings {
        PathMeanings::look([name])
    }

    #[test]
    fn replacing_writing_removing_and_linking_elsewhere_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let [name, other] = ["name", "other"].map(|name| folder.path().join(name));
        let mut before = of(&name);
        let mut changes = |what: &str| {
            let now = of(&name);
            assert_ne!(now, before, "{what}");
            assert_eq!(now, of(&name), "{what}: seen once");
            before = now;
        };
        fs::write(&name, "a").unwrap();
        changes("it appears");
        fs::write(&other, "a").unwrap();
        fs::rename(&other, &name).unwrap();
        changes("it is replaced");
        fs::write(&name, "longer").unwrap();
        changes("it is written to");
        fs::remove_file(&name).unwrap();
        changes("it is removed");
        for target in ["one", "two"] {
            fs::write(folder.path().join(target), target).unwrap();
            let _ = fs::remove_file(&name);
            std::os::unix::fs::symlink(target, &name).unwrap();
            changes("it links elsewhere");
        }
    }

    #[test]
    fn changes_inside_a_permitted_folder_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let place = fs::canonicalize(folder.path()).unwrap();
        let (file, link) = (place.join("file"), place.join("link"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::write(&file, "a").unwrap();
        let seen = |name: &Path| meaning(name, std::slice::from_ref(&place));
        let before = seen(&link);
        assert_eq!(before, Some(Meaning::Within(place.clone())));
        fs::write(place.join("new"), "longer").unwrap();
        fs::rename(place.join("new"), &file).unwrap();
        assert_eq!(seen(&link), before);
    }
}
