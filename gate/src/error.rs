//! Why the firewall could not be changed or read.

use std::fmt;

use nix::errno::Errno;
use sknock_netfilter::error::NetfilterError;

use crate::table_spec::SpecError;

/// The firewall could not be changed or read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FirewallError {
    /// The kernel refused.
    Netfilter(NetfilterError),
    /// The rules contradict themselves; the kernel was not asked.
    Rules(SpecError),
}

impl FirewallError {
    pub(crate) fn while_doing(doing: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| NetfilterError::while_doing(doing)(errno).into()
    }

    /// The kernel's error number, if it gave one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Netfilter(error) => error.errno(),
            Self::Rules(_) => None,
        }
    }

    /// Whether a set has no room for another element.
    pub(crate) fn is_full(&self) -> bool {
        self.errno() == Some(Errno::ENFILE)
    }

    /// Whether an element that should be new is there already.
    pub(crate) fn already_exists(&self) -> bool {
        self.errno() == Some(Errno::EEXIST)
    }

    /// Whether others changed the table during every attempt to list it.
    pub(crate) fn inconsistent_dump(&self) -> bool {
        self.errno() == Some(Errno::EAGAIN)
    }

    /// No error if the table is gone: when it is loaded again, it has what memory has.
    pub(crate) fn unless_gone(result: Result<(), Self>) -> Result<(), Self> {
        result.or_else(|error| if error.not_found() { Ok(()) } else { Err(error) })
    }

    /// Whether the table, or a set in it, does not exist.
    pub(crate) fn not_found(&self) -> bool {
        self.errno() == Some(Errno::ENOENT)
    }
}

impl std::error::Error for FirewallError {}

impl From<SpecError> for FirewallError {
    fn from(error: SpecError) -> Self {
        Self::Rules(error)
    }
}

impl From<NetfilterError> for FirewallError {
    fn from(error: NetfilterError) -> Self {
        Self::Netfilter(error)
    }
}

impl fmt::Display for FirewallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Netfilter(error) => error.fmt(f),
            Self::Rules(error) => error.fmt(f),
        }
    }
}
