//! Whether somebody keeps this host's clock right, as the kernel was told.
#![expect(unsafe_code, reason = "adjtimex takes a pointer")]

use std::mem::zeroed;

/// Says no only if the kernel says no: where it may not be asked, nobody can tell.
pub(super) fn is_synchronised() -> bool {
    // SAFETY: timex is plain old data, for which all zeros is a valid value: modes 0 changes nothing.
    let mut time: libc::timex = unsafe { zeroed() };
    // SAFETY: the kernel writes one timex to a live local.
    let answer = unsafe { libc::adjtimex(&raw mut time) };
    // The kernel sets it at boot, and when nothing has corrected the clock for about nine hours
    // (second_overflow in kernel/time/ntp.c).
    answer < 0 || time.status & libc::STA_UNSYNC == 0
}
