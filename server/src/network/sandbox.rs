//! Gives up, for good, everything that the network process does not need.
//! Nothing is parsed before this is done.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use tracing::warn;

use super::{files, syscalls};
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

/// Has the kernel choose us before most others where memory is short: captured, we might have taken it, and the
/// privileged process starts another one. To be killed earlier takes no privilege.
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
    let files = files::restrict(writable, ports).map_err(io::Error::other)?;
    syscalls::restrict().map_err(io::Error::other)?;
    Ok(SandboxStatus { files })
}

/// What could be put up on this kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SandboxStatus {
    /// Whether the kernel has Landlock. System calls are filtered in any case.
    pub(crate) files: bool,
}
