//! Somebody has captured the network process and speaks in its name.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use nix::unistd::{Uid, setfsuid};
use sknock_gate::{Request, Response};
use sknock_tests::wait::some;
use sknock_tests::{
    Authority, Captive, Chance, Config, Daemon, Echo, Ledger, World, ordeal, process,
};

#[test]
fn it_opens_at_most_what_the_request_limits_allow() {
    ordeal::requests(20_000);
}

/// Whatever it does with its lines: it is ended, another one is started, and grants stay.
#[track_caller]
fn is_ended_and_replaced(misbehave: impl FnOnce(&Captive)) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    let granted = ledger.knock();
    granted.must_be_granted();
    let (mark, parent) = (daemon.mark(), daemon.parent());
    let descriptors = process::descriptors(parent);

    let captive = Captive::take(daemon.network());
    misbehave(&captive);
    daemon.wait_since(mark, "did not finish in time");
    daemon.wait_since(mark, Daemon::ACCEPTING);
    assert_ne!(daemon.network(), captive.pid());
    assert!(world.gateway.doors().iter().any(|door| door.knock == granted.id()));
    assert_eq!((daemon.parent(), process::descriptors(parent)), (parent, descriptors));
    ledger.must_hold(&daemon);
}

#[test]
fn closing_the_command_connection_ends_the_network_process() {
    is_ended_and_replaced(|captive| Captive::close(&captive.orders));
}

#[test]
fn closing_the_gate_connections_ends_the_network_process() {
    is_ended_and_replaced(|captive| captive.links.iter().for_each(Captive::close));
}

#[test]
fn unexpected_reports_end_the_network_process() {
    is_ended_and_replaced(|captive| {
        let mut chance = Chance::new("reports");
        // Until nobody listens any more.
        while Captive::say(&captive.orders, &chance.bytes(1)) != Err(nix::errno::Errno::EPIPE) {}
    });
}

#[test]
fn unread_answers_end_the_network_process() {
    is_ended_and_replaced(|captive| {
        let raise = Request::Activate.encode().unwrap();
        for link in &captive.links {
            while Captive::say(link, &raise) != Err(nix::errno::Errno::EPIPE) {}
        }
    });
}

#[test]
fn records_of_a_wrong_length_are_refused_or_end_the_network_process() {
    is_ended_and_replaced(|captive| {
        let [link, ..] = captive.links.as_slice() else { panic!("no link") };
        for length in [1, Request::LEN - 1, Request::LEN + 1, 60_000] {
            let answer = Captive::ask(link, &vec![0; length]).expect("an answer");
            assert!(matches!(Response::decode(&answer), Some(Response::Refused(_))), "{length}");
        }
        assert_eq!(Captive::ask(link, &[]), None, "an empty record is how a line ends");
    });
}

/// The next one waits while the old one is at work; it cannot put itself in its place.
#[test]
fn a_network_process_that_is_not_active_cannot_change_the_rules() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 60);
    let daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    // The old one stands still, so it does not finish, and the next one waits for that.
    let old = Captive::take(daemon.network());
    let mark = daemon.mark();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    let next = some("the next network process", || {
        process::children(daemon.parent()).into_iter().find(|pid| *pid != old.pid())
    });
    daemon.wait_since(mark, "network process started");
    let next = Captive::take(next);
    let answer = Captive::ask(&next.links[0], &Request::Activate.encode().unwrap()).unwrap();
    assert_eq!(Response::decode(&answer), Some(Response::Failed));
    assert!(process::runs(old.pid()), "it is still there");

    next.release();
    daemon.wait_since(mark, "did not finish in time");
    daemon.wait_since(mark, Daemon::ACCEPTING);
    ledger.must_hold(&daemon);
}

/// A datagram of its own to a stranger would begin a flow, and its peer would get access by answering: to the
/// service that is at that port later.
#[test]
fn it_cannot_admit_another_sender_to_a_protected_udp_port() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority).set("protectedPorts", "tcp/22, udp/5300");
    let daemon = Daemon::start(&world.gateway, &config);
    let user = process::status(daemon.network(), "Uid").expect("it runs");
    let user = Uid::from_raw(user.split_whitespace().next().unwrap().parse().unwrap());
    for (host, stranger) in World::GATEWAY_TO_STRANGER.into_iter().zip(World::STRANGER) {
        let theirs = world.stranger.inside(|| UdpSocket::bind((stranger, 7777)).unwrap());
        let sent = world.gateway.inside(|| {
            // This thread's only.
            setfsuid(user);
            let captured = UdpSocket::bind((host, 5300)).unwrap();
            captured.send_to(b"hi", (stranger, 7777))
        });
        let service = world.gateway.inside(|| UdpSocket::bind((host, 5300)).unwrap());
        service.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        theirs.send_to(b"let me in", (host, 5300)).unwrap();
        assert!(service.recv(&mut [0; 16]).is_err(), "a stranger is heard");
        assert_eq!(sent.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
    }
}
