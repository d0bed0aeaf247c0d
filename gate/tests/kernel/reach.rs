//! Who reaches what, with real packets.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::netns::{Net, once_free};

/// What somebody finds at a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    Open,
    /// A reset or "port unreachable", as from a port where nothing listens.
    Closed,
    Silent,
}

/// Long enough for a namespace on the same, busy machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// A host that guards, a client, and a stranger; each of both on a cable of their own.
pub(crate) struct Site {
    pub(crate) host: Net,
    pub(crate) client: Net,
    pub(crate) stranger: Net,
}

impl Site {
    pub(crate) const CLIENT: [&'static str; 2] = ["10.1.0.2", "fd01::2"];
    pub(crate) const HOST: [&'static str; 2] = ["10.1.0.1", "fd01::1"];
    const HOST_TO_STRANGER: [&'static str; 2] = ["10.2.0.1", "fd02::1"];

    pub(crate) fn new() -> Self {
        let [host, client, stranger] = [(); 3].map(|()| Net::new());
        let ends =
            |net: u8, end: u8| [format!("10.{net}.0.{end}/24"), format!("fd0{net}::{end}/64")];
        for (net, other, name) in [(1, &client, "client"), (2, &stranger, "stranger")] {
            let [ours, theirs] = [ends(net, 1), ends(net, 2)];
            host.cable(name, &[&ours[0], &ours[1]], other, &[&theirs[0], &theirs[1]]);
        }
        Self { host, client, stranger }
    }

    /// What client and stranger find at a TCP port, in IPv4 and in IPv6.
    pub(crate) fn tcp(&self, port: u16) -> [[Found; 2]; 2] {
        let sides = [(&self.client, Self::HOST), (&self.stranger, Self::HOST_TO_STRANGER)];
        // All at once: silence takes its time.
        std::thread::scope(|scope| {
            sides
                .map(|(net, host)| host.map(|host| scope.spawn(move || tcp(net, host, port))))
                .map(|side| side.map(|probe| probe.join().unwrap()))
        })
    }

    /// The same at a UDP port where `service` receives.
    pub(crate) fn udp(&self, service: &UdpSocket) -> [[Found; 2]; 2] {
        self.udp_through(service.local_addr().unwrap().port(), service)
    }

    /// The same at another port, which leads to the service.
    pub(crate) fn udp_through(&self, port: u16, service: &UdpSocket) -> [[Found; 2]; 2] {
        [(&self.client, Self::HOST), (&self.stranger, Self::HOST_TO_STRANGER)]
            .map(|(net, host)| host.map(|host| udp_through(net, host, port, service, b"hello")))
    }
}

/// Both families alike, for the client and for the stranger.
pub(crate) fn each(client: Found, stranger: Found) -> [[Found; 2]; 2] {
    [[client; 2], [stranger; 2]]
}

/// Listens in `net` on both families.
pub(crate) fn listen(net: &Net, port: u16) -> TcpListener {
    net.inside(|| once_free(|| TcpListener::bind(("::", port))))
}

/// Receives in `net` on both families.
pub(crate) fn receive(net: &Net, port: u16) -> UdpSocket {
    net.inside(|| once_free(|| UdpSocket::bind(("::", port))))
}

pub(crate) fn connect(net: &Net, host: &str, port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::new(host.parse().unwrap(), port);
    net.inside(|| TcpStream::connect_timeout(&address, PATIENCE))
}

/// What `net` finds at a TCP port of `host`.
pub(crate) fn tcp(net: &Net, host: &str, port: u16) -> Found {
    match connect(net, host, port) {
        Ok(_) => Found::Open,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Found::Closed,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            Found::Silent
        }
    }
}

/// Whether `host` answers an echo request from `net`; IPv4.
pub(crate) fn ping(net: &Net, host: &str) -> bool {
    let raw = net.inside(|| {
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)
    });
    let socket = UdpSocket::from(raw.unwrap());
    socket.connect((host, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (request, checksum) = ([8, 0], [0xf7, 0xff]);
    socket.send(&[&request[..], &checksum, &[0; 4]].concat()).unwrap();
    let mut packet = [0; 64];
    // Twenty bytes of IP header, then type 0.
    socket.recv(&mut packet).is_ok_and(|length| length >= 28 && packet[20] == 0)
}

/// What `net` finds at the port of `host` where `service` receives, with this datagram.
pub(crate) fn udp(net: &Net, host: &str, service: &UdpSocket, datagram: &[u8]) -> Found {
    let port = service.local_addr().unwrap().port();
    udp_through(net, host, port, service, datagram)
}

/// The same at another port, which leads to the service.
pub(crate) fn udp_through(
    net: &Net,
    host: &str,
    port: u16,
    service: &UdpSocket,
    datagram: &[u8],
) -> Found {
    let host: IpAddr = host.parse().unwrap();
    let any = if host.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = net.inside(|| UdpSocket::bind(any).unwrap());
    socket.connect((host, port)).unwrap();
    socket.send(datagram).unwrap();
    let mut ready = [service, &socket].map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
    let patience = PollTimeout::try_from(PATIENCE).unwrap();
    if poll(&mut ready, patience).unwrap() == 0 {
        return Found::Silent;
    }
    let mut buffer = [0; 2048];
    if ready[0].any().unwrap() {
        let (length, sender) = service.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], datagram);
        assert_eq!(sender.port(), socket.local_addr().unwrap().port());
        return Found::Open;
    }
    let error = socket.recv(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    Found::Closed
}
