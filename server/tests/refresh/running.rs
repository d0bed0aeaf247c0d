//! The thread that refreshes: what it closes, and that it ends when told to.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use sknock_gate::{Request, Response};
use sknock_server::crl::Timeouts;
use sknock_server::crl::mark_record;
use sknock_server::knock::gate_client::GateClient;

use crate::web::{Reply, Web};
use crate::world::{World, good};

/// A gate that says yes, and tells which serial numbers it was to close.
fn gate() -> (GateClient, mpsc::Receiver<Vec<u8>>) {
    gate_that_fails(0)
}

/// The same, whose firewall refuses so many closings first.
fn gate_that_fails(times: usize) -> (GateClient, mpsc::Receiver<Vec<u8>>) {
    let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
    let (told, closed) = mpsc::channel();
    thread::spawn(move || serve(&theirs, &told, times));
    (GateClient::new(ours), closed)
}

fn serve(link: &OwnedFd, told: &mpsc::Sender<Vec<u8>>, mut failures: usize) {
    let mut record = [0; Request::LEN];
    while recv(link.as_raw_fd(), &mut record, MsgFlags::empty()).is_ok_and(|length| length > 0) {
        if mark_record::is_report(&record) {
            let answer = Response::Activated.encode();
            send(link.as_raw_fd(), &answer, MsgFlags::MSG_NOSIGNAL).unwrap();
            continue;
        }
        let serials = match Request::decode(&record) {
            Some(Request::Close { serials, .. }) => serials,
            // Nobody has anything open whose issuer is not known.
            Some(Request::NextIssuer(_)) => {
                let answer = Response::Issuer(None).encode();
                send(link.as_raw_fd(), &answer, MsgFlags::MSG_NOSIGNAL).unwrap();
                continue;
            }
            _ => panic!("{record:?}"),
        };
        for serial in serials {
            let _ = told.send(serial.as_bytes().to_vec());
        }
        let answer = if failures > 0 { Response::Failed } else { Response::Closed { count: 0 } };
        failures = failures.saturating_sub(1);
        let answer = answer.encode();
        send(link.as_raw_fd(), &answer, MsgFlags::MSG_NOSIGNAL).unwrap();
    }
}

#[test]
fn grants_that_a_new_crl_revokes_are_closed_at_once() {
    let world = World::new();
    let web = Web::new(Reply::List(good(&world.authority, 2, 6)));
    let refresh = world.refresh(&[&web.url]);
    refresh.load(&good(&world.authority, 1, 5), crate::NOW);
    let (gate, closed) = gate();
    let (stop, stopping) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(move || refresh.run(gate, stopping));
        let next = || loop {
            // what is told twice was closed twice, which is once too often at most
            match closed.recv().unwrap() {
                serial if serial == [5] => {}
                serial => break serial,
            }
        };
        assert_eq!(closed.recv().unwrap(), [5], "what the file revokes");
        assert_eq!(next(), [6], "what the web revokes at first");
        web.now_says(Reply::List(good(&world.authority, 3, 7)));
        while next() != [7] {}
        drop(stop);
        running.join().unwrap().unwrap();
    });
}

/// The kernel may be short of memory for a moment; the list does not change again.
#[test]
fn a_failed_close_of_a_revoked_grant_is_repeated() {
    let world = World::new();
    let refresh = world.refresh(&[]);
    refresh.load(&good(&world.authority, 1, 5), crate::NOW);
    let (gate, asked) = gate_that_fails(2);
    let (stop, stopping) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(move || refresh.run(gate, stopping));
        for attempt in 1..=3 {
            assert_eq!(asked.recv_timeout(LIMIT).expect("it is tried again"), [5], "{attempt}");
        }
        // The third has done it.
        let again = asked.recv_timeout(Duration::from_secs(8));
        assert!(again.is_err(), "{again:?}");
        drop(stop);
        running.join().unwrap().unwrap();
    });
}

#[test]
fn it_ends_while_the_web_server_is_silent() {
    let world = World::new();
    let web = Web::new(Reply::Silence);
    let refresh = world.refresh(&[&web.url]);
    let (gate, _closed) = gate();
    let (stop, stopping) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(move || refresh.run(gate, stopping));
        while web.requests().is_empty() {
            thread::yield_now();
        }
        drop(stop);
        running.join().unwrap().unwrap();
    });
}

#[test]
fn it_ends_when_the_gate_is_gone() {
    let world = World::new();
    let refresh = world.refresh(&[]);
    refresh.load(&good(&world.authority, 1, 5), crate::NOW);
    let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
    drop(theirs);
    let (_stop, stopping) = UnixStream::pair().unwrap();
    assert!(refresh.run(GateClient::new(ours), stopping).is_err());
}

/// Far beyond what anything here takes, and far below the patience with a silent server below.
const LIMIT: Duration = Duration::from_secs(60);

/// Silent servers are never given up.
fn endlessly_patient() -> Timeouts {
    let hour = Duration::from_secs(3600);
    Timeouts { connect: hour, read: hour, total: hour }
}

#[test]
fn a_silent_web_server_does_not_delay_crls_of_others() {
    let world = World::new();
    let (silent, web) =
        (Web::new(Reply::Silence), Web::new(Reply::List(good(&world.authority, 1, 5))));
    let refresh = world.patient(&[&silent.url, &web.url], None, endlessly_patient());
    let (gate, closed) = gate();
    let (stop, stopping) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(move || refresh.run(gate, stopping));
        for number in [5, 6, 7] {
            web.now_says(Reply::List(good(&world.authority, number.into(), number)));
            while closed.recv_timeout(LIMIT).expect("a list is taken") != [number] {}
        }
        assert_eq!(silent.requests().len(), 1, "it still has its turn");
        drop(stop);
        running.join().unwrap().unwrap();
    });
}

#[test]
fn a_silent_web_server_does_not_delay_a_start() {
    let world = World::new();
    let (silent, web) =
        (Web::new(Reply::Silence), Web::new(Reply::List(good(&world.authority, 1, 5))));
    let mut refresh = world.patient(&[&silent.url, &web.url], None, endlessly_patient());
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        refresh.fetch_now().unwrap();
        done.send(refresh).unwrap();
    });
    let refresh = is_done.recv_timeout(LIMIT).expect("it starts");
    assert!(world.is_revoked(&refresh, 5));
    assert_eq!(silent.requests().len(), 1);
}
