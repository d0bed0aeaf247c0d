//! A name server for one machine of a test, with configured names only.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::Namespace;
use crate::echo::is_readable;

/// The server. Stops when dropped.
#[derive(Debug)]
pub struct Dns {
    known: Arc<Known>,
    /// Dropped first, which wakes the threads.
    stop: Option<UnixStream>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Known {
    addresses: Mutex<BTreeMap<String, Vec<IpAddr>>>,
    only_tcp: AtomicBool,
}

impl Dns {
    /// Listens on port 53 in `namespace`, at all its addresses, by UDP and TCP.
    pub fn start(namespace: &Namespace) -> Self {
        let any = (Ipv6Addr::UNSPECIFIED, 53);
        let bound = namespace
            .inside(|| Ok::<_, io::Error>((UdpSocket::bind(any)?, TcpListener::bind(any)?)));
        let (socket, listener) = bound.expect("port 53 of a machine of ours is free");
        let known = Arc::new(Known::default());
        let (stop, stopped) = UnixStream::pair().expect("descriptors are left");
        let too = stopped.try_clone().expect("descriptors are left");
        let (by_udp, by_tcp) = (Arc::clone(&known), Arc::clone(&known));
        let threads = vec![
            thread::spawn(move || {
                while is_readable(socket.as_fd(), stopped.as_fd()) {
                    // The client may have ended.
                    let _ = by_udp.datagram(&socket);
                }
            }),
            thread::spawn(move || {
                while is_readable(listener.as_fd(), too.as_fd()) {
                    let Ok((stream, _)) = listener.accept() else { continue };
                    let known = Arc::clone(&by_tcp);
                    // It ends when the client closes the connection.
                    thread::spawn(move || while known.stream(&stream).is_ok() {});
                }
            }),
        ];
        Self { known, stop: Some(stop), threads }
    }

    /// From now on this is where `name` is.
    pub fn say(&self, name: &str, addresses: &[IpAddr]) {
        let mut known = self.known.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.to_owned(), addresses.to_vec());
    }

    /// Makes UDP answers truncated, so that clients use TCP.
    pub fn answer_by_tcp(&self) {
        self.known.only_tcp.store(true, Ordering::SeqCst);
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Known {
    fn datagram(&self, socket: &UdpSocket) -> io::Result<()> {
        let mut question = [0; 512];
        let (length, from) = socket.recv_from(&mut question)?;
        let Some(mut answer) = self.answer(&question[..length]) else { return Ok(()) };
        if self.only_tcp.load(Ordering::SeqCst) {
            answer[2] |= TRUNCATED;
        }
        socket.send_to(&answer, from).map(drop)
    }

    /// One question of several.
    fn stream(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question)?;
        let answer = self.answer(&question).unwrap_or_default();
        let length = u16::try_from(answer.len()).expect("short answers").to_be_bytes();
        stream.write_all(&[&length[..], &answer].concat())
    }

    /// The answer to one question (RFC 1035); `None` if it is none.
    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = name(question)?;
        let asked = question.get(end..end + 4)?;
        let known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = known.get(&name);
        let records: Vec<Vec<u8>> = addresses
            .into_iter()
            .flatten()
            .filter_map(|address| match address {
                IpAddr::V4(address) if asked[1] == A => Some(record(A, &address.octets())),
                IpAddr::V6(address) if asked[1] == AAAA => Some(record(AAAA, &address.octets())),
                _ => None,
            })
            .collect();
        let code = if addresses.is_some() { 0 } else { NO_SUCH_NAME };
        let count = u8::try_from(records.len()).ok()?;
        let head = [question[0], question[1], 0x85, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
        Some([&head[..], &question[12..end + 4], &records.concat()].concat())
    }
}

/// The name that is asked for, and where it ends.
fn name(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut place) = (Vec::new(), 12);
    loop {
        let length = usize::from(*question.get(place)?);
        place += 1;
        if length == 0 {
            return Some((labels.join("."), place));
        }
        let label = question.get(place..place + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        place += length;
    }
}

/// An address of the name that was asked for. It may be kept for no second.
fn record(kind: u8, address: &[u8]) -> Vec<u8> {
    let length = u8::try_from(address.len()).expect("4 or 16");
    [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, length], address].concat()
}

const A: u8 = 1;
const AAAA: u8 = 28;
const NO_SUCH_NAME: u8 = 3;
const TRUNCATED: u8 = 2;
