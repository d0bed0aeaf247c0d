//! The kernel refuses: no permission, no room, too many events to tell.

use std::time::Duration;

use nix::sys::signal::Signal;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Daemon, Echo, Ledger, World, process};

/// In which an answer comes, if there is one.
const SOON: Duration = Duration::from_millis(500);

#[test]
fn without_the_capability_a_start_fails_and_the_firewall_stays_as_it_was() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Ledger::config(&authority));
    daemon.settle();
    daemon.start_by("setpriv --bounding-set -net_admin");
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains("CAP_NET_ADMIN"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
    daemon.start_by("");
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
}

/// More doors than `maxGrants`: who comes later is refused, nobody who is inside suffers, and there is
/// room again as soon as the first have closed.
#[test]
fn reaching_max_grants_does_not_affect_active_grants() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 4);
    let config = Ledger::config(&authority).set("maxGrants", "5");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    let granted: Vec<_> = (0..5).map(|_| ledger.knock()).collect();
    for sent in &granted {
        let _ = sent.must_be_granted();
    }
    for _ in 0..5 {
        let sent = ledger.knock();
        let line = daemon.wait_for(&format!("knock=\"{}\"", sent.id()));
        assert!(line.contains("not opened") && line.contains("too-many-grants"), "{line}");
    }
    assert_eq!(world.gateway.doors().len(), 5);
    ledger.close(&daemon);
    ledger.must_hold(&daemon);
}

/// Somebody fills the kernel's set by hand, up to its size.
#[test]
fn when_the_kernels_set_is_full_a_knock_opens_nothing_and_there_is_room_again_later() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 4);
    let config = Ledger::config(&authority).set("maxGrants", "10");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    let elements: Vec<String> =
        (1..=20).map(|host| format!("192.0.2.{host} . tcp . 9 timeout 4s")).collect();
    world.gateway.nft(&format!("add element inet sknock grant4 {{ {} }}", elements.join(", ")));
    let driver = Client::alice(&world.client, &authority);
    let refused = driver.seal(&["tcp/22"]);
    refused.send(&world.client, World::GATEWAY[0]);
    let line = daemon.wait_for(&format!("knock=\"{}\"", refused.id));
    assert!(line.contains("not opened") && line.contains("no-capacity"), "{line}");
    // It is used up all the same.
    let again = refused.send(&world.client, World::GATEWAY[0]);
    let line = daemon.wait_for(&format!("source={}", again.source()));
    assert!(line.contains("refused"), "{line}");
    ledger.close(&daemon);
    // What has ended holds its place until the kernel collects it, every two seconds. Every other
    // knock goes to the set for IPv6, which was never full.
    until("there is room again", || {
        [ledger.knock(), ledger.knock()].iter().all(|sent| sent.answer(SOON).is_some())
    });
    ledger.must_hold(&daemon);
}

/// Many changes by others while we do not listen: the kernel drops the rest and says so (ENOBUFS).
#[test]
fn after_an_overrun_of_the_event_socket_the_table_is_restored() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    let granted = ledger.knock();
    granted.must_be_granted();
    process::stop(daemon.parent());
    let many: Vec<String> = (0..10_000).map(|n| format!("10.1.{}.{}", n / 250, n % 250)).collect();
    let all = many.join(", ");
    world.gateway.nft("table inet other { set s { type ipv4_addr; }; }");
    for _ in 0..5 {
        world
            .gateway
            .nft(&format!("add element inet other s {{ {all} }}\nflush set inet other s\n"));
    }
    // The last of them, for which there is no room.
    world.gateway.nft("flush chain inet sknock input");
    let mark = daemon.mark();
    daemon.signal(Signal::SIGCONT);
    daemon.wait_since(mark, "another program removed table inet sknock");
    assert!(world.gateway.doors().iter().any(|door| door.knock == granted.id()));
    ledger.must_hold(&daemon);
}
