//! A captured datagram that was refused, sent again and again to a real server.

use std::time::Duration;

use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::{Authority, Client, Config, Daemon, World};

/// At the level that is usual. That they are heard, a louder log shows first.
#[test]
fn unauthenticated_senders_cause_no_log_line_and_no_byte_on_the_disk() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let state = daemon.file("state");
    let kept = || {
        let files = std::fs::read_dir(&state).unwrap().flatten();
        let mut files: Vec<_> =
            files.map(|file| (file.path(), std::fs::read(file.path()).unwrap())).collect();
        files.sort();
        files
    };
    let to = std::net::SocketAddr::new(World::GATEWAY_TO_STRANGER[0], 62344);
    let socket = sknock_tests::reach::udp_socket(&world.stranger, to).unwrap();
    let alice = Client::alice(&world.client, &authority);
    let throw = |number: u8| {
        // With a tag and without. An error is what a closed port says to the one before.
        socket.send(&alice.tagged([number; DATAGRAM_LENGTH])).ok();
        for length in [DATAGRAM_LENGTH, 1, 1199, 1201] {
            socket.send(&vec![number; length]).ok();
        }
    };
    throw(0);
    daemon.wait_for("reason=\"not-veiled\"");
    daemon.export("SKNOCK_LOG", "info");
    daemon.crash();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let (mark, before) = (daemon.mark(), kept());
    (0..200).for_each(throw);
    // Everything before it has been judged by then.
    let rested = std::time::Duration::from_millis(500);
    std::thread::sleep(rested);
    assert_eq!(daemon.said_since(mark), [""; 0]);
    assert!(kept() == before, "something was written");
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert!(kept() != before && !daemon.said_since(mark).is_empty(), "what is granted is both");
}

/// The lines that an administrator sees; whatever anyone can cause is told on demand only.
#[test]
fn a_refused_datagram_that_is_sent_repeatedly_is_logged_twice() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    daemon.export("SKNOCK_LOG", "info");
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let alice = Client::alice(&world.client, &authority);
    let late = |wish: &mut sknock_protocol::v2::KnockRequest| {
        wish.stamp = wish.stamp.before(Duration::from_secs(60));
    };
    let captured = alice.seal_with(&["tcp/22"], late);
    for round in 0..6 {
        for _ in 0..50 {
            // Each from another port.
            captured.send(&world.client, World::GATEWAY[0]);
        }
        // Over several seconds: the rate of lines is not what keeps the log short.
        let knock = alice.seal(&["tcp/22"]);
        knock.send(&world.client, World::GATEWAY[0]).must_be_granted();
        std::thread::sleep(Duration::from_millis(600));
        assert!(daemon.times_said("audit: granted") > round);
    }
    let told = daemon.times_said("reason=\"stamp-too-old\"");
    assert_eq!((told, daemon.times_said("again=true")), (2, 1));
}
