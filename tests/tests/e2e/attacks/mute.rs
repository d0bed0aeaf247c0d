//! A captured network process does to its standard error what it likes: the privileged process goes on logging.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ftruncate, write};
use sknock_tests::wait::{Stopwatch, until};
use sknock_tests::{Authority, Captive, Client, Config, Daemon, World};

#[test]
fn the_network_process_cannot_disturb_the_log_of_the_privileged_process() {
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
fn a_network_process_that_logs_without_end_locks_no_client_out() {
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

/// `maxGrantsPerSecond` and a thousand, as docs/OPERATIONS.md says.
const LINES_A_SECOND: usize = 1100;

/// The lines of ten seconds at once, after a quiet time.
const BURST: usize = 10 * LINES_A_SECOND;

/// Lines, as fast as one core can write them, into the log of a network process that works as usual.
fn log_without_end(theirs: &OwnedFd, done: &AtomicBool) {
    let lines = "a line of the flood\n".repeat(200);
    while !done.load(Ordering::Relaxed) {
        write(theirs, lines.as_bytes()).unwrap();
    }
}

/// Ends a flood when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The network process continues its work, so that doors open during the flood.
#[test]
fn a_flood_of_log_lines_is_limited_and_no_grant_record_is_lost() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority).set("maxGrantsPerSecond", "100");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    let captive = Captive::take(daemon.network());
    let theirs = captive.descriptor(2);
    captive.release();
    let (done, watch) = (AtomicBool::new(false), Stopwatch::start());
    let opened: Vec<String> = thread::scope(|scope| {
        let flood = scope.spawn(|| log_without_end(&theirs, &done));
        // Also if a knock fails.
        let _ends = Ends(&done);
        let opened = (0..40).map(|_| {
            thread::sleep(Duration::from_millis(50));
            let knock = alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
            knock.must_be_granted();
            knock.id().to_string()
        });
        let opened = opened.collect();
        assert!(!flood.is_finished());
        opened
    });
    let seconds = usize::try_from(watch.span().as_secs()).unwrap() + 1;
    let mark = daemon.mark();
    kill(daemon.network(), Signal::SIGKILL).unwrap();
    drop(theirs);
    daemon.wait_since(mark, Daemon::ACCEPTING);
    let passed_on = daemon.times_said("a line of the flood");
    let most = BURST + LINES_A_SECOND * seconds;
    assert!((BURST / 2..=most).contains(&passed_on), "{passed_on} lines in {seconds} s");
    assert!(daemon.times_said("lines of the network process dropped") > 0);
    let said = daemon.said_since(0);
    for id in &opened {
        let records = |line: &String| line.contains("gate: opened") && line.contains(id);
        assert!(said.iter().any(records), "{id} is not recorded");
    }
}

/// Root reads it in a terminal.
#[test]
fn terminal_control_characters_in_log_lines_are_replaced() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let captive = Captive::take(daemon.network());
    let theirs = captive.descriptor(2);
    captive.release();
    let bytes = b"nul\0 esc\x1b[31m cr\r del\x7f csi\x9b c1\xc2\x9b nel\xc2\x85 bidi\xe2\x80\xae \
        isolate\xe2\x81\xa6 line\xe2\x80\xa8 bad\xff tab\t umlaut\xc3\xa4 end of it\n";
    write(&theirs, bytes).unwrap();
    let line = daemon.wait_for("end of it");
    let expected = "nul_ esc_[31m cr_ del_ csi_ c1_ nel_ bidi_ isolate_ line_ bad_ tab\t umlaut\u{e4} end of it";
    assert_eq!(line.trim_end_matches('\n'), expected);
}
