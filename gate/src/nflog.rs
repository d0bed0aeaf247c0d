//! Takes an NFLOG group: from then on the kernel puts copies of packets into a socket, for rules that
//! say `log group`. Whoever reads the socket needs no privilege for it, and has no power over it.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::c_int;
use nix::sys::socket::{NetlinkAddr, connect, setsockopt, sockopt};

use crate::FirewallError;
use crate::nft::lock_filter;
use crate::nft::message::MessageBuilder;
use crate::nft::socket::Netlink;

/// `NFNL_SUBSYS_ULOG`, and its message `NFULNL_MSG_CONFIG`.
const SUBSYSTEM: c_int = libc::NFNL_SUBSYS_ULOG;
const CONFIG: c_int = libc::NFULNL_MSG_CONFIG;

/// Room for 7,000 knocks, a second's worth for a fast machine: a copy of 1.2 kB takes 2.3 kB, and the
/// kernel counts twice what is asked for.
const RECEIVE_BUFFER: usize = 8 << 20;

/// As much as may be; the rule says how much is copied.
const COPY_RANGE: u32 = 0xffff;

/// Listens to `group` in the calling thread's network namespace. Each packet is handed over at once.
///
/// Needs `CAP_NET_ADMIN`. The group is ours until the last copy of the descriptor is closed.
/// When the socket is full, packets are lost; `SO_MEMINFO` counts them.
///
/// # Errors
///
/// [`FirewallError::GroupTaken`] if somebody else listens to that group, else what the kernel said.
pub fn bind_group(group: u16) -> Result<OwnedFd, FirewallError> {
    let failed =
        FirewallError::while_doing("listen to an NFLOG group (the kernel needs nfnetlink_log)");
    let taken = |errno| match cert(group) {
        Some(port) => FirewallError::GroupTaken { group, port },
        None => failed(errno),
    };
    let mut netlink =
        Netlink::open(0).map_err(FirewallError::while_doing("open a netlink socket for NFLOG"))?;
    netlink
        .set_no_enobufs()
        .map_err(FirewallError::while_doing("prepare a netlink socket for NFLOG"))?;
    // EPERM: it is bound to another socket. It is also what somebody without privilege is told.
    netlink.ask(&configuration(group)).map_err(taken)?;
    let socket = netlink.into_socket();
    // Without privilege over the whole machine, as in a container, the system's limit applies.
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER));
    lock_filter(socket.as_fd()).map_err(FirewallError::while_doing("lock a netlink socket"))?;
    Ok(socket)
}

/// Makes the socket of a group as [`bind_group`] left it, whatever its reader has made of it. Filters it cannot
/// have attached: they are locked.
///
/// # Errors
///
/// What the kernel said.
pub fn rebind_group(socket: BorrowedFd<'_>) -> nix::Result<()> {
    // It hears only from whom it is connected to; the kernel is number 0.
    connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    crate::nft::set_no_enobufs(socket)?;
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER));
    Ok(())
}

/// Bind, and how to copy; the kernel works it off in this order.
fn configuration(group: u16) -> Vec<u8> {
    let [a, b, c, d] = COPY_RANGE.to_be_bytes();
    let bind = u8::try_from(libc::NFULNL_CFG_CMD_BIND).unwrap_or_default();
    let packet = u8::try_from(libc::NFULNL_COPY_PACKET).unwrap_or_default();
    MessageBuilder::new(SUBSYSTEM, CONFIG, libc::AF_UNSPEC, group)
        .with(libc::NFULA_CFG_CMD, &[bind])
        .with(libc::NFULA_CFG_MODE, &[a, b, c, d, packet, 0])
        // One packet fills a message: none waits for the timer, which counts in 10 ms.
        .with(libc::NFULA_CFG_QTHRESH, &1_u32.to_be_bytes())
        .with(libc::NFULA_CFG_TIMEOUT, &1_u32.to_be_bytes())
        .finish()
}

/// Whose socket listens to `group`, by its netlink port: often the number of its process.
fn cert(group: u16) -> Option<u32> {
    let listed = fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_log").ok()?;
    listed.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let listened: u16 = words.next()?.parse().ok()?;
        (listened == group).then(|| words.next()?.parse().ok())?
    })
}
