//! A captured network process does to its standard error what it likes: the privileged process goes on logging.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ftruncate, write};
use sknock_tests::wait::until;
use sknock_tests::{Authority, Captive, Client, Config, Daemon, World};

#[test]
fn the_log_of_the_privileged_process_is_not_the_network_processes() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    let open = || {
        let mark = daemon.mark();
        let knock = alice.seal(&["tcp/22"]);
        knock.send(&world.client, World::GATEWAY[0]).must_be_granted();
        // Both logs: that of the door and that of the knock.
        daemon.wait_since(mark, "gate: opened");
        daemon.wait_since(mark, "audit: granted");
    };
    open();
    let same = |pid: nix::unistd::Pid, number: i32| {
        let status = fs::metadata(format!("/proc/{pid}/fd/{number}")).unwrap();
        (status.dev(), status.ino())
    };
    assert_ne!(same(daemon.network(), 2), same(daemon.parent(), 2), "one file for both");

    // Whatever can be done to a pipe.
    let captive = Captive::take(daemon.network());
    let theirs = captive.descriptor(2);
    assert!(ftruncate(&theirs, 0).is_err());
    fcntl(&theirs, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mark = daemon.mark();
    kill(captive.pid(), Signal::SIGKILL).unwrap();
    drop((captive, theirs));
    daemon.wait_since(mark, Daemon::ACCEPTING);
    open();
}

/// Nobody reads while it stands still, and a line without end is passed on in pieces.
#[test]
fn a_network_process_that_logs_without_end_keeps_nobody_out() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let captive = Captive::take(daemon.network());
    let theirs = captive.descriptor(2);
    let noise = vec![b'x'; 60_000];
    for _ in 0..50 {
        write(&theirs, &noise).unwrap();
    }
    // What nobody takes in time is lost, as with every log of ours.
    until("it is heard again", || {
        write(&theirs, b"\nthe end of the noise\n").unwrap();
        daemon.times_said("the end of the noise") > 0
    });
    let mark = daemon.mark();
    kill(captive.pid(), Signal::SIGKILL).unwrap();
    drop((captive, theirs));
    daemon.wait_since(mark, Daemon::ACCEPTING);
    let alice = Client::alice(&world.client, &authority);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
}
