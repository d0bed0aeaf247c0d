//! A real authority, and a server on loopback that believes real knocks and answers as a test likes.

#![allow(dead_code, reason = "each test program uses its own part")]

#[path = "network.rs"]
pub(crate) mod network;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use sknock::{Client, ClientBuilder, Service};
use sknock_certs::Authority;
use sknock_protocol::v2::tag::{self, TAGS};
use sknock_protocol::{
    Answer, Bundle, Datagram, KnockRules, Revocation, ServerKey, Timestamp, TrustStore,
    VerifiedKnock, Verifier,
};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "p\\w\"o'r;d%ü€#";

/// An authority with the server `gate` and the client `alice`.
pub(crate) struct World {
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        network::of_its_own();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::init(&folder.path().join("ca"), None, 10, now()).unwrap();
        authority.server("gate", 10, PASSWORD, now()).unwrap();
        // The last one: ports that the kernel chooses for services of tests.
        let allowed = ["tcp/22", "udp/53", "tcp/2222", "tcp/32768-60999"]
            .map(|text| text.parse::<Service>().unwrap());
        authority.client("alice", &allowed, 10, PASSWORD, now()).unwrap();
        Self { folder }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("ca").join(name)
    }

    /// Alice, who knocks on `server` and loses patience soon.
    pub(crate) fn client(&self, server: &Server) -> ClientBuilder {
        self.client_of(server.address.port())
    }

    pub(crate) fn client_of(&self, knock_port: u16) -> ClientBuilder {
        self.client_anywhere().knock_port(knock_port)
    }

    /// Alice, who was not told where to knock.
    pub(crate) fn client_anywhere(&self) -> ClientBuilder {
        let identity = sknock::open_identity(self.file("alice.pfx"), PASSWORD).unwrap();
        let certificate = sknock::open_server_certificate(self.file("gate.cer")).unwrap();
        Client::builder(identity, certificate).attempt_timeout(Duration::from_millis(100))
    }

    pub(crate) fn verifier(&self) -> Verifier {
        let pfx = std::fs::read(self.file("gate.pfx")).unwrap();
        let bundle = Bundle::open(&pfx, PASSWORD).unwrap();
        let key = ServerKey::from_bundle(&bundle).unwrap();
        let anchors = TrustStore::new(bundle.authorities(), 16).unwrap();
        let window = Duration::from_secs(7);
        let rules = KnockRules { window, unsigned_address: true, second_address: false };
        let verifier = Verifier::new(key, anchors, rules);
        verifier.prepare(now());
        verifier
    }
}

/// The client under test reads the same clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::EPOCH.after(SystemTime::UNIX_EPOCH.elapsed().unwrap())
}

/// A knock that was believed.
pub(crate) struct Heard {
    pub(crate) datagram: Vec<u8>,
    /// The index of its tag, which is of the epoch of its timestamp.
    pub(crate) index: u16,
    pub(crate) knock: VerifiedKnock,
}

/// Listens until dropped. Every knock must be genuine, or the test fails.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `address`, and sends for each knock (counted from 1) what `react` says.
    pub(crate) fn start(
        world: &World,
        address: &str,
        mut react: impl FnMut(usize, &Heard) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let (heard, stop) = (Arc::default(), Arc::default());
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (verifier, list) = (world.verifier(), Arc::<Mutex<Vec<Heard>>>::clone(&heard));
        let stopped = Arc::<AtomicBool>::clone(&stop);
        let serve = move || {
            let mut bytes = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, source)) = socket.recv_from(&mut bytes) else { continue };
                let one = believe(&verifier, source, &bytes[..length]);
                let mut all = list.lock().unwrap();
                for datagram in react(all.len() + 1, &one) {
                    socket.send_to(&datagram, source).unwrap();
                }
                all.push(one);
            }
        };
        Self { address, heard, stop, thread: Some(thread::spawn(serve)) }
    }

    /// A server that grants everything for 15 s.
    pub(crate) fn granting(world: &World, address: &str) -> Self {
        Self::start(world, address, |_, heard| vec![grant(heard)])
    }

    /// A server that never answers.
    pub(crate) fn silent(world: &World, address: &str) -> Self {
        Self::start(world, address, |_, _| Vec::new())
    }

    /// How many knocks were heard until now.
    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// Stops, and says what was heard.
    pub(crate) fn heard(mut self) -> Vec<Heard> {
        self.finish();
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    fn finish(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server heard something else than a genuine knock");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn believe(verifier: &Verifier, source: SocketAddr, datagram: &[u8]) -> Heard {
    let received = now();
    let unveiled = verifier.unveil(Datagram::new(source, datagram), received).unwrap();
    let knock = verifier.verify(unveiled, &Revocation::NotConfigured, received).unwrap();
    let (key, epoch) = (verifier.key().tags(), tag::epoch(knock.stamp()));
    let index = (0..TAGS).find(|index| datagram.starts_with(&key.tag(epoch, *index)));
    Heard { datagram: datagram.to_vec(), index: index.expect("a tag of its epoch"), knock }
}

/// The answer that grants 15 s.
pub(crate) fn grant(heard: &Heard) -> Vec<u8> {
    answer(heard, |_| ())
}

/// The answer that grants 15 s, altered by `edit`.
pub(crate) fn answer(heard: &Heard, edit: impl FnOnce(&mut Answer)) -> Vec<u8> {
    let observed = heard.knock.source();
    let mut answer = Answer { clipped: false, seconds: 15, server_time: now(), observed };
    edit(&mut answer);
    heard.knock.answer_key().expect("an answer is wanted").seal(&answer).unwrap().to_vec()
}
