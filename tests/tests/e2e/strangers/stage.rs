//! Services that tell what they heard, and what strangers and clients do with packets made by hand.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket,
};
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn6, bind, setsockopt, socket, sockopt,
};
use nix::unistd::{Uid, setfsuid};
use sknock_tests::ip_packet::{ACK, FIN, SYN, Segment, tcp};
use sknock_tests::wait::once_free;
use sknock_tests::{Namespace, Wire};

/// Protected by [`Config::new`](sknock_tests::Config::new).
pub(crate) const SSH: u16 = 22;
pub(crate) const DNS: u16 = 53;

/// Joined by the services: not the groups that every host is in.
pub(crate) const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
pub(crate) const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x1234);

/// Until whatever is on its way has arrived: a cable delivers at once, a busy processor soon.
pub(crate) fn settle() {
    sleep(Duration::from_millis(300));
}

/// A name server in both families, which hears all that a socket can: broadcasts and groups.
pub(crate) struct Dns {
    sockets: [UdpSocket; 2],
}

impl Dns {
    pub(crate) fn new(namespace: &Namespace, interface: &str) -> Self {
        Self::on(namespace, interface, DNS)
    }

    pub(crate) fn on(namespace: &Namespace, interface: &str, port: u16) -> Self {
        namespace.inside(|| {
            let four = once_free(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)));
            four.set_broadcast(true).unwrap();
            // Membership follows the route to the group, and there is one for its own network only.
            let own = own_address(interface);
            four.join_multicast_v4(&GROUP4, &own).unwrap();
            let six = only_v6(port);
            six.join_multicast_v6(&GROUP6, if_nametoindex(interface).unwrap()).unwrap();
            let sockets = [four, six];
            for socket in &sockets {
                socket.set_nonblocking(true).unwrap();
            }
            Self { sockets }
        })
    }

    /// Sends first.
    pub(crate) fn say(&self, family: usize, what: &[u8], to: SocketAddr) {
        self.sockets[family].send_to(what, to).unwrap();
    }

    /// All that has arrived, each answered as a service does.
    pub(crate) fn heard(&self) -> BTreeSet<String> {
        self.read(true)
    }

    /// All that has arrived; nothing is answered.
    pub(crate) fn overheard(&self) -> BTreeSet<String> {
        self.read(false)
    }

    fn read(&self, answers: bool) -> BTreeSet<String> {
        let mut heard = BTreeSet::new();
        for socket in &self.sockets {
            let mut buffer = [0; 2048];
            loop {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        heard.insert(String::from_utf8_lossy(&buffer[..length]).into_owned());
                        // Who asked may be unreachable.
                        let _ = answers.then(|| socket.send_to(&buffer[..length], from));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // An ICMP message about an earlier answer.
                    Err(_) => {}
                }
            }
        }
        heard
    }
}

fn own_address(interface: &str) -> Ipv4Addr {
    let mut all = nix::ifaddrs::getifaddrs().unwrap();
    let found = all.find_map(|one| {
        let address = *one.address?.as_sockaddr_in()?;
        (one.interface_name == interface).then(|| address.ip())
    });
    found.expect("it has an address")
}

fn only_v6(port: u16) -> UdpSocket {
    let kind = SockType::Datagram;
    let six = socket(AddressFamily::Inet6, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&six, sockopt::Ipv6V6Only, &true).unwrap();
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    bind(six.as_raw_fd(), &SockaddrIn6::from(any)).unwrap();
    six.into()
}

/// A listener that never waits.
pub(crate) fn listener(namespace: &Namespace, port: u16) -> TcpListener {
    let listener =
        namespace.inside(|| once_free(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))));
    listener.set_nonblocking(true).unwrap();
    listener
}

/// Everybody who has got in since the last call.
pub(crate) fn accepted(listener: &TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let all = std::iter::from_fn(|| listener.accept().ok());
    all.map(|(stream, from)| {
        stream.set_nonblocking(true).unwrap();
        (stream, SocketAddr::new(from.ip().to_canonical(), from.port()))
    })
    .collect()
}

/// Ends a connection by a reset, as a server that is killed or in a hurry.
pub(crate) fn reset(stream: TcpStream) {
    let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &at_once).unwrap();
    drop(stream);
}

/// Whether nothing new has come through a connection.
pub(crate) fn is_silent(mut stream: &TcpStream) -> bool {
    // Ended or reset is silent, too.
    !matches!(stream.read(&mut [0; 64]), Ok(1..))
}

/// One side of a TCP connection that lives in no kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hand {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// What it says next.
    pub(crate) sequence: u32,
    /// What it expects next.
    pub(crate) expected: u32,
}

impl Hand {
    pub(crate) fn new(from: (IpAddr, u16), to: (IpAddr, u16), sequence: u32) -> Self {
        Self { from: from.into(), to: to.into(), sequence, expected: 0 }
    }

    pub(crate) fn packet(&self, flags: u8, data: &[u8]) -> Vec<u8> {
        let (sequence, acknowledged) = (self.sequence, self.expected);
        tcp(self.from, self.to, &Segment { flags, sequence, acknowledged, data })
    }

    pub(crate) fn say(&mut self, wire: &Wire, flags: u8, data: &[u8]) {
        wire.send(&self.packet(flags, data));
        let counted = u32::from(flags & (SYN | FIN) != 0);
        let length = u32::try_from(data.len()).unwrap();
        self.sequence = self.sequence.wrapping_add(counted + length);
    }

    /// Connects, which must succeed.
    #[track_caller]
    pub(crate) fn connect(&mut self, wire: &Wire) {
        self.say(wire, SYN, b"");
        let (from, to, next) = (self.from, self.to, self.sequence);
        let what = format!("{from} gets an answer from {to}");
        let answer = wire.wait_for(&what, |packet| {
            packet.is_syn_ack() && (packet.to, packet.from, packet.acknowledged) == (from, to, next)
        });
        self.expected = answer.sequence.wrapping_add(1);
        self.say(wire, ACK, b"");
    }

    /// Sends a SYN; whether the other side agrees.
    pub(crate) fn knocks_in(&self, wire: &Wire, sequence: u32) -> bool {
        let syn = Self { sequence, expected: 0, ..*self };
        wire.heard();
        wire.send(&syn.packet(SYN, b""));
        settle();
        let heard = wire.heard();
        heard.iter().any(|packet| packet.is_syn_ack() && packet.to == self.from)
    }
}

/// A socket of somebody without privileges, at an address of anybody's: IPv6 permits any. Call it in a namespace.
pub(crate) fn anyone(from: SocketAddr) -> UdpSocket {
    let SocketAddr::V6(from) = from else { panic!("IPv6 permits any source") };
    let before = setfsuid(Uid::from_raw(1234));
    let flags = SockFlag::SOCK_CLOEXEC;
    let one = socket(AddressFamily::Inet6, SockType::Datagram, flags, None).unwrap();
    setsockopt(&one, sockopt::IpFreebind, &true).unwrap();
    bind(one.as_raw_fd(), &SockaddrIn6::from(from)).unwrap();
    setfsuid(before);
    one.into()
}
