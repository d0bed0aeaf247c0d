//! The options of a socket that `nix` does not know, and the filter of a netlink socket.
#![expect(unsafe_code, reason = "setsockopt and getsockopt take a pointer")]

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Answers then repeat only the header of what they answer, not 64 KiB of elements.
pub(crate) fn set_cap_ack(socket: BorrowedFd<'_>) -> nix::Result<()> {
    switch_on(socket, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK)
}

/// When the socket is full, only what finds no room is lost. Otherwise the kernel would tell the
/// reader with an error, and throw away everything until the socket is empty.
pub(crate) fn set_no_enobufs(socket: BorrowedFd<'_>) -> nix::Result<()> {
    switch_on(socket, libc::SOL_NETLINK, libc::NETLINK_NO_ENOBUFS)
}

/// Drops events that the socket with the number `own` has caused, in the kernel; all others come in.
///
/// A transaction's events come in one datagram or several, each from that one cause alone.
pub(crate) fn filter_own_events(socket: BorrowedFd<'_>, own: u32) -> nix::Result<()> {
    // The port stands in every netlink header, in the host's byte order; the filter reads big-endian.
    const PORT_AT: u32 = 12;
    let own = u32::from_be_bytes(own.to_ne_bytes());
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, PORT_AT),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, own),
        // 0 bytes: dropped. Below, u32::MAX: passed uncut.
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let len = u16::try_from(filter.len()).unwrap_or_default();
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: the descriptor is open; the kernel reads one sock_fprog and copies the filter that it
    // points to, whose length it says; both live until the call returns.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            u32::try_from(size_of::<libc::sock_fprog>()).unwrap_or_default(),
        )
    };
    Errno::result(result).map(drop)
}

/// The cookie of the network namespace that a socket is in: no other has it in this boot. `ENOPROTOOPT`
/// before Linux 5.14.
pub fn namespace_cookie(socket: BorrowedFd<'_>) -> nix::Result<u64> {
    // Not in libc yet.
    const SO_NETNS_COOKIE: c_int = 71;
    let mut cookie = 0_u64;
    let mut length = u32::try_from(size_of::<u64>()).unwrap_or_default();
    // SAFETY: the descriptor is open; the kernel writes at most `length` bytes to a live u64, and the
    // length to a live u32.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    Errno::result(result).map(|_| cookie)
}

/// From now on no process can attach a filter to the socket, detach one, or unlock it: a process that reads
/// it cannot keep packets from the processes that read it later.
pub fn lock_filter(socket: BorrowedFd<'_>) -> nix::Result<()> {
    switch_on(socket, libc::SOL_SOCKET, libc::SO_LOCK_FILTER)
}

fn switch_on(socket: BorrowedFd<'_>, level: c_int, option: c_int) -> nix::Result<()> {
    let on: c_int = 1;
    // SAFETY: the descriptor is open, and the kernel reads one c_int from a live local.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            u32::try_from(size_of::<c_int>()).unwrap_or_default(),
        )
    };
    Errno::result(result).map(drop)
}
