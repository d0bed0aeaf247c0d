//! Drops capability sets, in both processes. A unit may forbid capset(2): then sets that are already right
//! are left alone, and a failed call is accepted only where it is harmless.

use std::{fmt, io};

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::unistd::geteuid;

/// This process may not change the firewall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoNetAdmin {
    is_root: bool,
}

/// Whether this process may change the firewall. Checked first, because later failures for this reason name
/// other causes.
pub fn require_net_admin() -> Result<(), NoNetAdmin> {
    match caps::has_cap(None, CapSet::Effective, Capability::CAP_NET_ADMIN) {
        Ok(false) => Err(NoNetAdmin { is_root: geteuid().is_root() }),
        // If the set cannot be read, the kernel decides later.
        Ok(true) | Err(_) => Ok(()),
    }
}

impl std::error::Error for NoNetAdmin {}

impl fmt::Display for NoNetAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root {
            "CAP_NET_ADMIN is missing, so sknockd cannot change the firewall. Give it to the unit or container"
        } else {
            "run this as root: only a process with CAP_NET_ADMIN can change the firewall"
        })
    }
}

/// Changes a set, unless it is already right.
pub(crate) fn set(kind: CapSet, wanted: &CapsHashSet) -> io::Result<()> {
    if caps::read(None, kind).map_err(io::Error::other)? == *wanted {
        return Ok(());
    }
    caps::set(None, kind, wanted).map_err(io::Error::other)
}

/// Clears the inheritable set, which programs with file capabilities could use. With `no_new_privs` file
/// capabilities have no effect, so a failure is harmless.
pub(crate) fn clear_inheritable() -> io::Result<()> {
    match caps::clear(None, CapSet::Inheritable) {
        Err(error) if !prctl::get_no_new_privs()? => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}

/// Drops all capabilities. An error means that some are left.
pub(crate) fn drop_all() -> io::Result<()> {
    caps::clear(None, CapSet::Ambient).map_err(io::Error::other)?;
    let nothing = CapsHashSet::new();
    [CapSet::Effective, CapSet::Permitted].iter().try_for_each(|kind| set(*kind, &nothing))?;
    clear_inheritable()
}
