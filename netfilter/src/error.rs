//! What the kernel refused, and what an administrator can do about it.

use std::fmt;

use nix::errno::Errno;

/// The kernel refused a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NetfilterError {
    /// For a reason of its own.
    Kernel {
        /// What was tried: "cannot ..." reads as a sentence.
        doing: &'static str,
        /// The kernel's error number.
        errno: Errno,
    },
    /// Another program listens to this NFLOG group.
    GroupTaken {
        /// Which.
        group: u16,
        /// The netlink port of its socket: often the number of its process.
        port: u32,
    },
}

impl NetfilterError {
    /// Adds what was tried to an error number.
    pub fn while_doing(doing: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Kernel { doing, errno }
    }

    /// The kernel's error number, if it gave one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            Self::GroupTaken { .. } => None,
        }
    }
}

impl std::error::Error for NetfilterError {}

impl fmt::Display for NetfilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupTaken { group, port } => write!(
                f,
                "another program listens to NFLOG group {group} (netlink port {port}, often its \
                 process number). Stop it, or set another group"
            ),
            Self::Kernel { doing, errno } => {
                let (text, number) = (errno.desc(), *errno as i32);
                write!(f, "cannot {doing}: {text} (errno {number}). {}", remedy(*errno))
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
             later with CONFIG_NF_CONNTRACK_LABELS"
        }
        Errno::ENFILE => "The set is full: wait until grants expire, or raise maxGrants",
        Errno::EMSGSIZE | Errno::ENOBUFS => {
            "The socket buffers are too small: raise net.core.wmem_max and net.core.rmem_max"
        }
        Errno::ENOMEM => "The kernel is out of memory",
        _ => "Check the output of `nft list table inet sknock` and try again",
    }
}
