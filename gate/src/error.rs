//! What the kernel would not do, and what to do about it.

use std::fmt;

use nix::errno::Errno;

use crate::SpecError;

/// The firewall could not be changed or read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FirewallError {
    /// The kernel refused.
    Kernel {
        /// What was tried: "cannot ..." reads as a sentence.
        doing: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// The rules contradict themselves; the kernel was not asked.
    Rules(SpecError),
    /// Somebody else listens to this NFLOG group.
    GroupTaken {
        /// Which.
        group: u16,
        /// The netlink port of their socket: often the number of their process.
        port: u32,
    },
}

impl FirewallError {
    pub(crate) fn while_doing(doing: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Kernel { doing, errno }
    }

    /// What the kernel said, if it was asked.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            Self::Rules(_) | Self::GroupTaken { .. } => None,
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

    /// Whether every attempt to list something was overtaken by somebody's changes.
    pub(crate) fn inconsistent_dump(&self) -> bool {
        self.errno() == Some(Errno::EAGAIN)
    }

    /// Whether the table, or a set in it, does not exist.
    pub(crate) fn not_found(&self) -> bool {
        self.errno() == Some(Errno::ENOENT)
    }
}

impl std::error::Error for FirewallError {}

impl From<SpecError> for FirewallError {
    fn from(spec_error: SpecError) -> Self {
        Self::Rules(spec_error)
    }
}

impl fmt::Display for FirewallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules(spec_error) => spec_error.fmt(f),
            Self::GroupTaken { group, port } => write!(
                f,
                "another program listens to NFLOG group {group} (netlink port {port}, often its \
                 process number). Stop it, or set another group"
            ),
            Self::Kernel { doing, errno } => {
                write!(
                    f,
                    "cannot {doing}: {} (errno {}). {}",
                    errno.desc(),
                    *errno as i32,
                    remedy(*errno)
                )
            }
        }
    }
}

fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM | Errno::EACCES => {
            "This needs CAP_NET_ADMIN in this network namespace; root has it"
        }
        Errno::EPROTONOSUPPORT => "The kernel has no nf_tables: load it with `modprobe nf_tables`",
        Errno::EOPNOTSUPP | Errno::ENOENT => {
            "The table was removed, or the kernel lacks a part of nf_tables: try `modprobe -a \
             nft_ct nft_fib_inet nft_reject_inet nft_limit nft_log nfnetlink_log`, Linux 5.10 or \
             later"
        }
        Errno::ENFILE => "The set is full: wait until grants expire, or raise maxGrants",
        Errno::EMSGSIZE | Errno::ENOBUFS => {
            "The socket buffers are too small: raise net.core.wmem_max and net.core.rmem_max"
        }
        Errno::ENOMEM => "The kernel is out of memory",
        _ => "Check the output of `nft list table inet sknock` and try again",
    }
}
