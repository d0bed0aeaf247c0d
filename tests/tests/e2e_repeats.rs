//! A captured datagram that was refused, sent again and again to a real server.

use std::time::Duration;

use sknock_tests::{Authority, Client, Config, Daemon, World};

/// The lines that an administrator sees; whatever anyone can cause is told on demand only.
#[test]
fn a_captured_datagram_that_was_refused_is_told_twice_however_often_it_comes() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    daemon.export("SKNOCK_LOG", "info");
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let alice = Client::alice(&world.client, &authority);
    let late = |wish: &mut sknock_protocol::v2::Wish| {
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
