//! The gate's process ends, in the worst way; the kernel goes on.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sys::signal::{Signal, raise};
use sknock_gate::{Firewall, FirewallPolicy, Gate, Request};

use crate::netns::{Net, until};
use crate::setup::{ceiling, elements, grant_request, open, rules, tcp, tell};

const CHILD: &str = "SKNOCK_GATE_TEST_CHILD";

#[test]
fn grants_end_on_time_and_protection_stays_after_kill_9() {
    if std::env::var_os(CHILD).is_some() {
        die_with_an_open_door();
    }
    let net = Net::new();
    let myself = std::env::current_exe().unwrap();
    let name = "process::grants_end_on_time_and_protection_stays_after_kill_9";
    let child = net
        .inside(|| Command::new(myself).args(["--exact", name]).env(CHILD, "1").output().unwrap());
    assert_eq!(child.status.signal(), Some(Signal::SIGKILL as i32), "{child:?}");
    assert_eq!(elements(&net).len(), 1);
    until("the kernel closes it", || elements(&net).is_empty());
    assert!(net.table().contains("\t\tdrop\n"));
}

/// In a process that was started in the test's namespace.
fn die_with_an_open_door() -> ! {
    let mut gate = Gate::new(rules(FirewallPolicy::Drop), ceiling(), Firewall::open().unwrap());
    let _ = tell(&mut gate, &Request::Activate);
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 2));
    raise(Signal::SIGKILL).unwrap();
    unreachable!("killed");
}
