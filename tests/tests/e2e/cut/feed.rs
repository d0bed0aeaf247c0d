//! Connections that are fed from both ends all the time, in numbers. What is said after a connection
//! was cut must never be heard: that takes no clock to tell.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sknock_tests::Namespace;
use sknock_tests::reach::{connect, udp_socket};
use sknock_tests::wait::{LIMIT, once_free, until};

/// Between two numbers: a flow, not a flood.
const PACE: Duration = Duration::from_millis(5);

/// One end of a connection.
#[derive(Default)]
struct End {
    /// The number that is said, or was last.
    said: AtomicU64,
    /// The highest number that was heard.
    heard: AtomicU64,
    /// The connection has ended, and this end knows it.
    over: AtomicBool,
}

/// A connection. Ends when dropped.
pub(crate) struct Feed {
    what: String,
    /// The client's, the server's.
    ends: [Arc<End>; 2],
    stop: Arc<AtomicBool>,
    /// Wakes who waits for more.
    hang_up: Box<dyn Fn()>,
    threads: Vec<JoinHandle<()>>,
}

impl Feed {
    /// TCP from `from` to a port of `server`, where nobody else listens.
    pub(crate) fn tcp(from: &Namespace, to: (IpAddr, u16), server: &Namespace) -> Self {
        let listener = server.inside(|| once_free(|| TcpListener::bind((any(to.0), to.1))));
        Self::accepted(&listener, from, to)
    }

    /// TCP from `from` to `listener`.
    pub(crate) fn accepted(listener: &TcpListener, from: &Namespace, to: (IpAddr, u16)) -> Self {
        let near = connect(from, to.into()).unwrap();
        let far = listener.accept().unwrap().0;
        let both = [near.try_clone().unwrap(), far.try_clone().unwrap()];
        let mut feed = Self::new(format!("tcp to {} {}", to.0, to.1), move || {
            // It may have ended.
            let _ = both.each_ref().map(|stream| stream.shutdown(Shutdown::Both));
        });
        for (index, stream) in [near, far].into_iter().enumerate() {
            let mut reader = stream.try_clone().unwrap();
            feed.say(index, move |number| (&stream).write_all(&number.to_be_bytes()).is_ok());
            feed.hear(index, move || {
                let mut number = [0; 8];
                reader.read_exact(&mut number).map(|()| u64::from_be_bytes(number))
            });
        }
        feed
    }

    /// UDP from `from` to what leads to `port` of `server`, which sends on whatever it hears, as mosh.
    pub(crate) fn udp(from: &Namespace, to: (IpAddr, u16), server: &Namespace, port: u16) -> Self {
        let far = server.inside(|| once_free(|| UdpSocket::bind((any(to.0), port))));
        let near = udp_socket(from, to.into()).unwrap();
        near.send(&0_u64.to_be_bytes()).unwrap();
        far.set_read_timeout(Some(LIMIT)).unwrap();
        let (_, client) = far.recv_from(&mut [0; 8]).unwrap();
        let mut feed = Self::new(format!("udp to {} {}", to.0, to.1), || {});
        let sockets = [(near, None), (far, Some(client))];
        for (index, (socket, to)) in sockets.into_iter().enumerate() {
            socket.set_read_timeout(Some(PACE)).unwrap();
            let reader = socket.try_clone().unwrap();
            feed.say(index, move |number| {
                // That it was refused does not stop it.
                let _ = send(&socket, number, to);
                true
            });
            feed.hear(index, move || {
                let mut number = [0; 8];
                reader.recv(&mut number).map(|_| u64::from_be_bytes(number))
            });
        }
        feed
    }

    fn new(what: String, hang_up: impl Fn() + 'static) -> Self {
        let (ends, stop) = (Default::default(), Arc::default());
        Self { what, ends, stop, hang_up: Box::new(hang_up), threads: Vec::new() }
    }

    fn say(&mut self, index: usize, say: impl Fn(u64) -> bool + Send + 'static) {
        let (end, stop) = (Arc::clone(&self.ends[index]), Arc::clone(&self.stop));
        self.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let number = end.said.fetch_add(1, Ordering::SeqCst) + 1;
                if !say(number) {
                    return end.over.store(true, Ordering::SeqCst);
                }
                thread::sleep(PACE);
            }
        }));
    }

    fn hear(&mut self, index: usize, mut hear: impl FnMut() -> io::Result<u64> + Send + 'static) {
        let (end, stop) = (Arc::clone(&self.ends[index]), Arc::clone(&self.stop));
        self.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                match hear() {
                    Ok(number) => drop(end.heard.fetch_max(number, Ordering::SeqCst)),
                    Err(error) if MEANWHILE.contains(&error.kind()) => {}
                    Err(_) => return end.over.store(true, Ordering::SeqCst),
                }
            }
        }));
    }

    /// What is said from now on is heard at both ends.
    #[track_caller]
    pub(crate) fn must_pass(&self) {
        for (speaker, listener) in [(0, 1), (1, 0)] {
            let mark = self.ends[speaker].said.load(Ordering::SeqCst);
            until(&format!("{} passes", self.what), || {
                self.ends[listener].heard.load(Ordering::SeqCst) > mark
            });
        }
    }

    /// Nothing that is said from now on is heard at the other end, however often it is tried.
    #[track_caller]
    pub(crate) fn must_be_dead(&self) {
        for (speaker, listener) in [(0, 1), (1, 0)] {
            let End { said, over, .. } = &*self.ends[speaker];
            let mark = said.load(Ordering::SeqCst);
            until(&format!("{} is tried", self.what), || {
                over.load(Ordering::SeqCst) || said.load(Ordering::SeqCst) > mark + 100
            });
            let heard = self.ends[listener].heard.load(Ordering::SeqCst);
            assert!(heard <= mark, "{}: {heard} was heard, cut off after {mark}", self.what);
        }
    }

    /// The client has noticed that it is over.
    #[track_caller]
    pub(crate) fn must_end(&self) {
        until(&format!("{} ends", self.what), || self.ends[0].over.load(Ordering::SeqCst));
    }
}

/// Not the end of a flow: nothing has come yet, or the kernel tells of a refusal.
const MEANWHILE: [ErrorKind; 4] = [
    ErrorKind::WouldBlock,
    ErrorKind::TimedOut,
    ErrorKind::Interrupted,
    ErrorKind::ConnectionRefused,
];

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        (self.hang_up)();
        for thread in self.threads.drain(..) {
            // What it has to say, the test has noticed.
            let _ = thread.join();
        }
    }
}

fn any(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        // Not all: the other family has a server of its own.
        IpAddr::V6(_) => like,
    }
}

fn send(socket: &UdpSocket, number: u64, to: Option<SocketAddr>) -> io::Result<usize> {
    match to {
        Some(to) => socket.send_to(&number.to_be_bytes(), to),
        None => socket.send(&number.to_be_bytes()),
    }
}
