//! Irrevocably drops all rights that the network process does not need. Nothing is parsed before.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use tracing::warn;

use super::{readable, syscalls};
use crate::sys::capabilities;

/// Ties the life of this process to `parent` and drops privileges that `exec` gave.
///
/// An error means that the process must end: it would parse network data with too many rights.
pub(crate) fn drop_privileges(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        return Err(io::Error::other("the privileged process has already exited"));
    }
    // Otherwise process lists would show the name "exe" of /proc/self/exe.
    prctl::set_name(c"sknockd-network")?;
    // Must precede the next call, which makes this process's files in /proc owned by root.
    if let Err(error) = killed_first() {
        warn!(%error, "cannot have the network process killed before others where memory is short");
    }
    prctl::set_dumpable(false)?;
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
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
}

/// Forbids all files except those of [`readable`], and writing except below `writable`.
///
/// Also forbids listening on TCP, connecting to other TCP ports (Linux 6.7 or later) and signals to other
/// processes. Returns whether the kernel supports Landlock (5.13 and later, unless disabled): without it the
/// other restrictions remain.
fn restrict_files(writable: &[&Path], ports: &BTreeSet<u16>) -> Result<bool, RulesetError> {
    let abi = ABI::V6;
    let ports =
        ports.iter().map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp)));
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::BindTcp)?
        .handle_access(AccessNet::ConnectTcp)?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(readable::granted(), AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(writable, kept()))?
        .add_rules(ports)?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
