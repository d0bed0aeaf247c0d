//! The time from a knock to the first successful TCP connection, on an idle machine, for any daemon.

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

/// Between two knocks, so that all threads sleep.
pub(crate) const REST: Duration = Duration::from_millis(8);

/// Beyond any latency: slower knocks are treated as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The result of many knocks, in microseconds.
#[derive(Default)]
pub(crate) struct Opened {
    /// From the first datagram to the connection.
    pub(crate) connected: Series,
    /// How long a refused `connect()` took: the resolution of the measurement.
    pub(crate) refused: Series,
}

impl Opened {
    /// Adds the results of another.
    pub(crate) fn add(&mut self, other: &Self) {
        other.connected.values().iter().for_each(|&time| self.connected.push(time));
        other.refused.values().iter().for_each(|&time| self.refused.push(time));
    }
}

/// The address family.
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

/// Sends a knock from each of these client addresses and then connects until it succeeds.
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
