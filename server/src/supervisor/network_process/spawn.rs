//! Starts this program again, as another user and with some of our descriptors.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::network::readable;
use crate::supervisor::privilege::Account;
use crate::sys::log;

/// This program again, with this word and handover, under `account`.
pub(in crate::supervisor) fn itself(word: &str, packed: &OwnedFd, account: Account) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("sknockd").arg(word).arg(packed.as_raw_fd().to_string());
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| passes(name)));
    if nix::unistd::geteuid().is_root() {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Lets the next program inherit `descriptors` while `start` runs.
///
/// There is no other thread that could start a program in between.
pub(in crate::supervisor) fn passing_on<T>(
    descriptors: &[BorrowedFd<'_>],
    start: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let set = |flags: FdFlag| {
        descriptors.iter().try_for_each(|one| fcntl(one, FcntlArg::F_SETFD(flags)).map(drop))
    };
    set(FdFlag::empty())?;
    let result = start();
    set(FdFlag::FD_CLOEXEC)?;
    result
}

/// What of the environment concerns the network process: the log, and root certificates. Not proxies: one
/// would look up the names of web servers, which we must do to know where a redirect leads.
fn passes(name: &OsStr) -> bool {
    readable::concerns(name) || [log::VARIABLE, "RUST_BACKTRACE"].iter().any(|known| name == *known)
}
