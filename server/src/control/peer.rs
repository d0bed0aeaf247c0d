//! The process at the other end of a connection, as the kernel reports it.
#![expect(unsafe_code, reason = "getsockopt(SO_PEERGROUPS) takes a pointer; nix does not have it")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Pid, Uid};

use super::requester::Requester;

/// The process that has connected, as it was then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Peer {
    pub(super) pid: Pid,
    pub(super) uid: Uid,
    /// Its group and its supplementary groups.
    groups: Vec<Gid>,
}

/// The users that can use the socket.
#[derive(Clone, Debug)]
pub(super) struct ControlAccess {
    /// The server's own user.
    pub(super) owner: Uid,
    /// The group of administrators, if there is one.
    pub(super) group: Option<Gid>,
}

/// More groups than this: as if it had none. Linux permits 65536; a user in a large directory has hundreds.
const MAX_GROUPS: usize = 4096;

impl Peer {
    /// Asks the kernel.
    pub(super) fn of(connection: impl AsFd) -> nix::Result<Self> {
        let known = getsockopt(&connection, sockopt::PeerCredentials)?;
        let mut groups = supplementary(connection.as_fd())?;
        // SO_PEERGROUPS has the supplementary groups only.
        groups.push(Gid::from_raw(known.gid()));
        Ok(Self { pid: Pid::from_raw(known.pid()), uid: Uid::from_raw(known.uid()), groups })
    }
}

impl Peer {
    /// As the log and answers name it.
    pub(super) fn requester(&self) -> Requester {
        Requester { uid: self.uid.as_raw(), pid: self.pid.as_raw() }
    }
}

impl ControlAccess {
    /// Root may. So may the server's own user and the group, unless the process is one of `networks`: the
    /// network process may have the same user, and may have been compromised. It is never root. Processes outside of
    /// our PID namespace all have the number 0: nothing tells one from another to which it has passed its
    /// connection, so only root may from there.
    pub(super) fn permits(&self, peer: &Peer, networks: &[u32]) -> bool {
        if peer.uid.is_root() {
            return true;
        }
        let is_network = networks.iter().any(|pid| pid.cast_signed() == peer.pid.as_raw());
        let is_member = self.group.is_some_and(|group| peer.groups.contains(&group));
        !is_network && peer.pid.as_raw() != 0 && (peer.uid == self.owner || is_member)
    }
}

fn supplementary(connection: BorrowedFd<'_>) -> nix::Result<Vec<Gid>> {
    let mut groups: Vec<libc::gid_t> = vec![0; MAX_GROUPS];
    let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or_default();
    // SAFETY: the kernel writes at most `bytes` bytes, which is the size of what the pointer leads to, and
    // any bytes are group numbers.
    let result = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    match Errno::result(result) {
        // It has more than there is room for.
        Err(Errno::ERANGE) => return Ok(Vec::new()),
        other => other.map(drop)?,
    }
    let count = usize::try_from(bytes).unwrap_or_default() / size_of::<libc::gid_t>();
    Ok(groups.into_iter().take(count).map(Gid::from_raw).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_kernel_reports_our_pid_uid_and_groups() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = Peer::of(&ours).unwrap();
        assert_eq!((peer.pid, peer.uid), (nix::unistd::getpid(), nix::unistd::geteuid()));
        assert!(peer.groups.contains(&nix::unistd::getegid()));
        for group in nix::unistd::getgroups().unwrap() {
            assert!(peer.groups.contains(&group), "{group}");
        }
    }

    #[test]
    fn root_server_user_and_group_are_allowed_and_no_network_process() {
        let peer = |pid, uid, groups: &[u32]| Peer {
            pid: Pid::from_raw(pid),
            uid: Uid::from_raw(uid),
            groups: groups.iter().copied().map(Gid::from_raw).collect(),
        };
        let access = ControlAccess { owner: Uid::from_raw(990), group: Some(Gid::from_raw(77)) };
        for (peer, may) in [
            (peer(5, 0, &[0]), true),
            (peer(5, 990, &[990]), true),
            (peer(5, 1000, &[1000, 77]), true),
            (peer(5, 1000, &[77]), true),
            (peer(5, 1000, &[1000, 78]), false),
            (peer(5, 1000, &[0]), false),
            // The number of one that has ended: root is none.
            (peer(6, 0, &[0]), true),
            (peer(6, 990, &[990]), false),
            (peer(6, 990, &[990, 77]), false),
            // In another PID namespace.
            (peer(0, 0, &[0]), true),
            (peer(0, 990, &[990]), false),
            (peer(0, 1000, &[77]), false),
        ] {
            assert_eq!(access.permits(&peer, &[4, 6]), may, "{peer:?}");
        }
        let nobody = ControlAccess { group: None, ..access };
        assert!(!nobody.permits(&peer(5, 1000, &[1000, 77]), &[]));
    }
}
