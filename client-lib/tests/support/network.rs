//! A network of one's own for each test: two runs at a time use the same addresses and ports.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// Puts this thread, and all threads and programs that it starts from now on, into a network namespace
/// with nothing but loopback. That takes root, as `make test` has; a test without it shares the
/// host's loopback with everybody else.
pub(crate) fn of_its_own() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    unshare(CloneFlags::CLONE_NEWNET).expect("root may make network namespaces");
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.expect("iproute2 is installed (make setup-test)").success(), "no loopback");
}
