//! NFLOG groups: the kernel puts copies of packets into a socket, for rules that say `log group`. Binding
//! a group needs privilege; reading its socket does not, and gives no power over it.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{NetlinkAddr, connect, setsockopt, sockopt};

use crate::error::NetfilterError;
use crate::message::{MessageBuilder, NetlinkMessage, narrow};
use crate::socket::Netlink;
use crate::socket_option::{lock_filter, set_no_enobufs};

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
/// [`NetfilterError::GroupTaken`] if another program listens to that group, else what the kernel said.
pub fn bind_group(group: u16) -> Result<OwnedFd, NetfilterError> {
    let failed =
        NetfilterError::while_doing("listen to an NFLOG group (the kernel needs nfnetlink_log)");
    let taken = |errno| match listener(group) {
        Some(port) => NetfilterError::GroupTaken { group, port },
        None => failed(errno),
    };
    let mut netlink =
        // No multicast group: the kernel sends copies only to the socket that has bound the NFLOG group.
        Netlink::open(0).map_err(NetfilterError::while_doing("open a netlink socket for NFLOG"))?;
    set_no_enobufs(netlink.fd())
        .map_err(NetfilterError::while_doing("prepare a netlink socket for NFLOG"))?;
    // EPERM: the group is bound to another socket, or we lack the privilege.
    netlink.ask(&configuration(group)).map_err(taken)?;
    let socket = netlink.into_socket();
    enlarge_buffer(&socket);
    lock_filter(socket.as_fd()).map_err(NetfilterError::while_doing("lock a netlink socket"))?;
    Ok(socket)
}

/// Makes the socket of a group as [`bind_group`] left it, whatever its reader has made of it. Filters it
/// cannot have attached: they are locked.
///
/// # Errors
///
/// What the kernel said.
pub fn rebind_group(socket: BorrowedFd<'_>) -> nix::Result<()> {
    // A reader could have connected the socket to itself, and copies would be lost; the kernel is number 0.
    connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    set_no_enobufs(socket)?;
    enlarge_buffer(&socket);
    Ok(())
}

/// Without privilege over the whole machine, as in a container, the system's limit applies.
fn enlarge_buffer(socket: &impl AsFd) {
    let _ = setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER));
}

/// Bind, and how to copy; the kernel works it off in this order.
fn configuration(group: u16) -> Vec<u8> {
    let [a, b, c, d] = COPY_RANGE.to_be_bytes();
    let bind = u8::try_from(libc::NFULNL_CFG_CMD_BIND).unwrap_or_default();
    let packet = u8::try_from(libc::NFULNL_COPY_PACKET).unwrap_or_default();
    let (subsystem, kind) = (libc::NFNL_SUBSYS_ULOG, libc::NFULNL_MSG_CONFIG);
    MessageBuilder::new(subsystem, kind, libc::AF_UNSPEC, group)
        .with(narrow(libc::NFULA_CFG_CMD), &[bind])
        .with(narrow(libc::NFULA_CFG_MODE), &[a, b, c, d, packet, 0])
        // One packet fills a message: none waits for the timer, which counts in 10 ms.
        .with(narrow(libc::NFULA_CFG_QTHRESH), &1_u32.to_be_bytes())
        .with(narrow(libc::NFULA_CFG_TIMEOUT), &1_u32.to_be_bytes())
        .finish()
}

/// The netlink port of the socket that listens to `group`: often the number of its process.
fn listener(group: u16) -> Option<u32> {
    let listed = fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_log").ok()?;
    listed.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        // Columns: group, netlink port of the listener, queue length and others (`seq_show` of
        // nfnetlink_log.c).
        let listened: u16 = words.next()?.parse().ok()?;
        (listened == group).then(|| words.next()?.parse().ok())?
    })
}

/// The packet that the kernel has copied into this message of a group, from its IP header on; nothing if
/// the message is of another kind, or cut short.
pub fn packet_payload(message: &[u8]) -> Option<&[u8]> {
    let message = NetlinkMessage::first(message)?;
    if message.of_subsystem(libc::NFNL_SUBSYS_ULOG) != Some(libc::NFULNL_MSG_PACKET) {
        return None;
    }
    let payload = narrow(libc::NFULA_PAYLOAD);
    message.attributes().find(|(kind, _)| *kind == payload).map(|(_, packet)| packet)
}
