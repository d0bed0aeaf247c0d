//! A disk that is slow, and lists that change meanwhile.

use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, mpsc};
use std::thread;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use sknock_gate::{Request, Response};
use sknock_protocol::v2::{ClaimedAddress, KnockRequest};
use sknock_protocol::{Encapsulation, Revocation, RevocationLists, Timestamp};
use sknock_server::knock::audit::Audit;
use sknock_server::knock::gate_client::GateClient;
use sknock_server::knock::intake::fair::Overload;
use sknock_server::knock::intake::socket::KnockSocket;
use sknock_server::knock::intake::source::KnockSource;
use sknock_server::knock::replay::{Recorded, ReplayEntry, ReplayStore};
use sknock_server::knock::worker::{Liveness, Worker, work};

use crate::{NOW, WINDOW, revoking, wish, world_by};

/// A disk that takes as long as it is told to: what is to be written waits until it is let go.
struct SlowDisk {
    begun: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl ReplayStore for SlowDisk {
    fn has_admitted(&self, _: &Encapsulation) -> bool {
        false
    }

    fn record(&self, _: &ReplayEntry, _: Timestamp) -> Recorded {
        self.begun.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        Recorded::New
    }
}

/// A gate that says yes to everything, and tells what it was asked for.
fn gate() -> (GateClient, mpsc::Receiver<Request>) {
    let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
    let (told, asked) = mpsc::channel();
    thread::spawn(move || {
        let mut record = [0; Request::LEN];
        while recv(theirs.as_raw_fd(), &mut record, MsgFlags::empty())
            .is_ok_and(|length| length > 0)
        {
            told.send(Request::decode(&record).unwrap()).unwrap();
            let answer = Response::Opened { seconds: 15, clipped: false }.encode();
            send(theirs.as_raw_fd(), &answer, MsgFlags::MSG_NOSIGNAL).unwrap();
        }
    });
    (GateClient::new(ours), asked)
}

#[test]
fn a_knock_delayed_by_a_slow_disk_is_not_granted_once_it_is_revoked() {
    let ((begun, is_slow), (go_on, waiting)) = (mpsc::channel(), mpsc::channel());
    let world = world_by(SlowDisk { begun, go_on: Mutex::new(waiting) }, true);
    let none = RevocationLists::new(WINDOW);
    let trust_store = world.pipeline.verifier.trust_store();
    let revoked = Revocation::Lists(none.with(revoking(&world.authority, trust_store)));
    let socket = KnockSocket::bind(0).unwrap();
    let port = UdpSocket::from(socket.try_clone().unwrap()).local_addr().unwrap().port();
    let source = KnockSource::Socket(KnockSocket::inherit(socket).unwrap());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let knock = || {
        // Nobody signs an address of this machine's own.
        let datagram =
            world.seal(&KnockRequest { address: ClaimedAddress::Source, ..wish() }).datagram;
        client.send_to(&datagram, ("127.0.0.1", port)).unwrap();
        is_slow.recv().unwrap();
    };
    let (gate, asked) = gate();
    let (stop, stopping) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let (pipeline, source) = (&world.pipeline, &source);
        let worker = scope.spawn(move || {
            let (audit, overload) = (Audit::of(1), &Overload::default());
            let worker = Worker { pipeline, gate, audit, overload, clock: || NOW };
            work(source, worker, &Liveness::default(), stopping.as_fd())
        });
        // As long as nobody is revoked, it takes a while and opens.
        knock();
        go_on.send(()).unwrap();
        assert!(matches!(asked.recv().unwrap(), Request::Open(_)));
        knock();
        // The disk does not hold up the revocation.
        world.pipeline.revocation.replace(revoked);
        go_on.send(()).unwrap();
        drop(stop);
        worker.join().unwrap().unwrap();
    });
    assert_eq!(asked.iter().count(), 0, "nothing opens after what was revoked is closed");
}
