//! The options of a netlink socket that `nix` does not know.
#![expect(unsafe_code, reason = "setsockopt takes a pointer")]

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Answers then repeat only the header of what they answer, not 64 KiB of elements.
pub(super) fn cap_acknowledgements(socket: BorrowedFd<'_>) -> nix::Result<()> {
    switch_on(socket, libc::NETLINK_CAP_ACK)
}

/// When the socket is full, only what finds no room is lost. Otherwise the kernel would tell the
/// reader with an error, and throw away everything until the socket is empty.
pub(super) fn lose_little(socket: BorrowedFd<'_>) -> nix::Result<()> {
    switch_on(socket, libc::NETLINK_NO_ENOBUFS)
}

fn switch_on(socket: BorrowedFd<'_>, option: c_int) -> nix::Result<()> {
    let on: c_int = 1;
    // SAFETY: the descriptor is open, and the kernel reads one c_int from a live local.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            u32::try_from(size_of::<c_int>()).unwrap_or_default(),
        )
    };
    Errno::result(result).map(drop)
}
