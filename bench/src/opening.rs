//! From a knock to the first TCP connection that gets through, on an idle machine, whoever opens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
use sknock_tests::World;

use crate::contender::Knock;
use crate::sender::Sender;
use crate::series::Series;
use crate::stopwatch::Stopwatch;
use crate::world::{GATEWAY, GATEWAY_V6, PORT, source, source_v6};

/// Between two knocks everybody has gone to sleep.
pub(crate) const REST: Duration = Duration::from_millis(8);

/// Beyond any latency: what takes longer is lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// What many knocks came to, in microseconds.
#[derive(Default)]
pub(crate) struct Opened {
    /// From the first datagram to the connection.
    pub(crate) connected: Series,
    /// How long a `connect()` took that was refused: no time here is more exact.
    pub(crate) refused: Series,
}

impl Opened {
    /// Takes what others came to.
    pub(crate) fn add(&mut self, other: &Self) {
        other.connected.values().iter().for_each(|&time| self.connected.push(time));
        other.refused.values().iter().for_each(|&time| self.refused.push(time));
    }
}

/// Which addresses knock and connect.
#[derive(Clone, Copy)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn gateway(self) -> IpAddr {
        match self {
            Self::V4 => GATEWAY,
            Self::V6 => GATEWAY_V6,
        }
    }

    fn source(self, number: usize) -> IpAddr {
        match self {
            Self::V4 => source(number).into(),
            Self::V6 => source_v6(number).into(),
        }
    }

    fn socket(self) -> AddressFamily {
        match self {
            Self::V4 => AddressFamily::Inet,
            Self::V6 => AddressFamily::Inet6,
        }
    }
}

/// Has each of these addresses of the crowd send its knock and then connect until it gets through.
pub(crate) fn knock_and_connect(
    world: &World,
    family: Family,
    knocks: Range<usize>,
    knock: impl Fn(usize) -> Knock + Sync,
) -> Opened {
    let any: IpAddr = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let listener = world.gateway.inside(|| TcpListener::bind((any, PORT)));
    let listener = listener.expect("nobody else is there");
    let sender = Sender::to(world, family.gateway(), PATIENCE);
    world.client.inside(|| {
        let mut opened = Opened::default();
        for number in knocks {
            let knock = knock(number);
            thread::sleep(REST);
            let watch = Stopwatch::start();
            sender.send_all(&knock, family.source(number));
            while watch.elapsed() < PATIENCE {
                let attempt = Stopwatch::start();
                if connects(family, number) {
                    opened.connected.push_time(watch.elapsed());
                    drop(listener.accept());
                    break;
                }
                opened.refused.push_time(attempt.elapsed());
            }
        }
        opened
    })
}

fn connects(family: Family, number: usize) -> bool {
    let (stream, flags) = (SockType::Stream, SockFlag::SOCK_CLOEXEC);
    let socket = socket(family.socket(), stream, flags, None).expect("a free descriptor");
    let address = |ip, port| SockaddrStorage::from(SocketAddr::new(ip, port));
    let from = address(family.source(number), 0);
    bind(socket.as_raw_fd(), &from).expect("the crowd's address is ours");
    connect(socket.as_raw_fd(), &address(family.gateway(), PORT)).is_ok()
}
