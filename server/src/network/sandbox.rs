//! Gives up, for good, everything that the network process does not need.
//! Nothing is parsed before this is done.

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

/// Binds our life to that of `parent` and takes away what `exec` gave us.
///
/// An error means that the process must end: it would parse the network with more power than meant.
pub(crate) fn drop_privileges(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        return Err(io::Error::other("the privileged process has already exited"));
    }
    // In process lists we would else be called after /proc/self/exe.
    prctl::set_name(c"sknockd-network")?;
    // Before the next line, after which its files in /proc are root's.
    if let Err(error) = killed_first() {
        warn!(%error, "cannot have the network process killed before others where memory is short");
    }
    prctl::set_dumpable(false)?;
    prctl::set_no_new_privs()?;
    capabilities::drop_all()
}

/// Has the kernel choose us before most others where memory is short: if compromised, it might have taken the memory,
/// and the privileged process starts another one. To be killed earlier takes no privilege.
fn killed_first() -> io::Result<()> {
    const SCORE: &str = "/proc/self/oom_score_adj";
    let inherited = fs::read_to_string(SCORE)?;
    let inherited: i32 = inherited.trim().parse().map_err(io::Error::other)?;
    fs::write(SCORE, inherited.saturating_add(SOONER).min(1000).to_string())
}

/// What is added to the privileged process's own, in thousandths of the memory that there is.
const SOONER: i32 = 500;

/// Allows the file system below `writable`, what name resolution and TLS need, TCP to `ports`, and the
/// system calls that we make; everything else is refused from here on, for all threads to come.
pub(crate) fn enter(writable: &[&Path], ports: &BTreeSet<u16>) -> io::Result<SandboxStatus> {
    let files = restrict_files(writable, ports).map_err(io::Error::other)?;
    syscalls::restrict().map_err(io::Error::other)?;
    Ok(SandboxStatus { files })
}

/// What could be put up on this kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SandboxStatus {
    /// Whether the kernel has Landlock. System calls are filtered in any case.
    pub(crate) files: bool,
}

/// What the network process does below `stateDir`: regular files, and nothing that would be in the way
/// of a later start, such as a folder, a link, a socket or a FIFO.
fn kept() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
}

/// Refuses every file but those of [`readable`], and writing anywhere but below `writable`.
///
/// Also refuses to listen on TCP, to connect to others than these TCP ports (Linux 6.7 or later) and to
/// signal anyone outside. Returns whether the kernel has
/// Landlock at all (5.13 and later, unless switched off): without it the other restrictions remain.
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
