//! A signal with a number, which `nix` does not have.
#![expect(unsafe_code, reason = "the number travels in a union")]

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Sends `signal` to `process`; whoever reads it by signalfd finds `number` in `ssi_int`.
pub(super) fn send(process: Pid, signal: Signal, number: i32) -> nix::Result<()> {
    // The kernel and glibc take the number from the first bytes of the union (sigqueue(3)).
    let mut bytes = [0; size_of::<usize>()];
    bytes[..4].copy_from_slice(&number.to_ne_bytes());
    let sival_ptr = std::ptr::without_provenance_mut(usize::from_ne_bytes(bytes));
    // SAFETY: takes three numbers; what is called a pointer is one, and nobody follows it.
    let result = unsafe {
        libc::sigqueue(process.as_raw(), signal as libc::c_int, libc::sigval { sival_ptr })
    };
    Errno::result(result).map(drop)
}
