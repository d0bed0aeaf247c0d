//! Capability sets, as both processes give them up. A unit may forbid capset(2), the system call for
//! it: then nothing is done that is so already, and what cannot be done must be worth nothing.

use std::io;

use caps::{CapSet, CapsHashSet};
use nix::sys::prctl;

/// Makes a set what it shall be, unless it is.
pub(crate) fn set(kind: CapSet, wanted: &CapsHashSet) -> io::Result<()> {
    if caps::read(None, kind).map_err(io::Error::other)? == *wanted {
        return Ok(());
    }
    caps::set(None, kind, wanted).map_err(io::Error::other)
}

/// Clears what programs with capabilities of their own could inherit. Under `no_new_privs` no program
/// has such, and it does not matter if this is forbidden.
pub(crate) fn clear_inheritable() -> io::Result<()> {
    match caps::clear(None, CapSet::Inheritable) {
        Err(error) if !prctl::get_no_new_privs()? => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}

/// Gives up all. An error means that some are left.
pub(crate) fn drop_all() -> io::Result<()> {
    caps::clear(None, CapSet::Ambient).map_err(io::Error::other)?;
    let nothing = CapsHashSet::new();
    [CapSet::Effective, CapSet::Permitted].iter().try_for_each(|kind| set(*kind, &nothing))?;
    clear_inheritable()
}
