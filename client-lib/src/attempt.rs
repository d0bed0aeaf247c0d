//! One knock at one address: a new key, secret and stamp, one datagram, perhaps an answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use sknock_protocol::v2::{self, ClaimedAddress, SealError, Sealed, Wish};
use sknock_protocol::{ANSWER_LENGTH, Answer, AnswerKey, Moment, Service};

use crate::clock::{self, Timer};
use crate::{Address, Client, Granted, address};

/// Errors that the system may report while we wait; beyond, waiting has no point. Anyone can send
/// us a few ICMP messages, and a server that hides behind `reject` does.
const MOST_ERRORS: u32 = 64;

/// A knock that left this host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) claimed: Option<IpAddr>,
    pub(crate) granted: Option<Granted>,
}

/// A knock that did not leave.
#[derive(Debug)]
pub(crate) enum NotSent {
    Seal(SealError),
    Socket(io::Error),
}

impl From<SealError> for NotSent {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl From<io::Error> for NotSent {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl Client {
    /// Knocks once, and waits for the answer if there is a `wait`.
    pub(crate) fn attempt(
        &self,
        destination: SocketAddr,
        services: &[Service],
        wait: Option<Duration>,
    ) -> Result<Sent, NotSent> {
        let socket = socket_to(destination)?;
        let local = socket.local_addr()?.ip();
        let claim = self.claim(local, destination.ip());
        let stamp = clock::now();
        let sealed = self.seal(stamp, claim, services, wait.is_some())?;
        let timer = Timer::of(wait.unwrap_or_default());
        socket.send(&sealed.datagram)?;
        let answer = wait.and_then(|_| wait_for_answer(&socket, &sealed.answer_key, &timer));
        let granted = answer.map(|answer| understand(answer, stamp, timer.elapsed()));
        if let Some(granted) = &granted {
            self.learn(local, destination.ip(), granted);
        }
        let claimed = match claim {
            ClaimedAddress::Source => None,
            ClaimedAddress::Ip(address) => Some(address),
        };
        Ok(Sent { claimed, granted })
    }

    fn seal(
        &self,
        stamp: Moment,
        address: ClaimedAddress,
        services: &[Service],
        answer: bool,
    ) -> Result<Sealed, SealError> {
        let wish = Wish {
            stamp,
            lifetime: self.options.lifetime,
            single_use: self.options.single_use,
            answer,
            address,
            second: None,
            services: services.to_vec(),
        };
        v2::seal(&self.identity, &self.server, &wish)
    }

    fn claim(&self, local: IpAddr, destination: IpAddr) -> ClaimedAddress {
        match self.options.address {
            Address::Source => ClaimedAddress::Source,
            Address::Ip(fixed) => ClaimedAddress::Ip(fixed.to_canonical()),
            Address::Auto => {
                let as_v4 = address::seen_as_v4(destination);
                let configured = self.options.public.iter().find(|ip| ip.is_ipv4() == as_v4);
                let learnt = || self.learnt.recall(local, destination, clock::now());
                let public = configured.copied().or_else(learnt);
                address::choose(local, destination, address::networks, public)
            }
        }
    }

    fn learn(&self, local: IpAddr, destination: IpAddr, granted: &Granted) {
        if granted.observed.ip() != local {
            self.learnt.remember(local, destination, granted.observed.ip(), clock::now());
        }
    }
}

/// A socket that speaks with this destination only; its own address is the one on the way there.
fn socket_to(destination: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(destination)?;
    Ok(socket)
}

/// The first datagram that is the answer, until the timer is over. Everything else is passed over:
/// other datagrams are noise or forged, and errors are what ICMP messages turn into.
fn wait_for_answer(socket: &UdpSocket, key: &AnswerKey, timer: &Timer) -> Option<Answer> {
    // One byte more, so that a longer datagram is not cut to the right length.
    let mut bytes = [0; ANSWER_LENGTH + 1];
    let mut errors = 0;
    while !timer.is_over() && errors < MOST_ERRORS {
        // std refuses a timeout of nothing
        socket.set_read_timeout(Some(timer.left().max(Duration::from_millis(1)))).ok()?;
        match socket.recv(&mut bytes) {
            Ok(length) => {
                if let Some(answer) = bytes.get(..length).and_then(|bytes| key.open(bytes)) {
                    return Some(answer);
                }
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => errors += 1,
        }
    }
    None
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The server read its clock about halfway between our sending and our receiving.
fn understand(answer: Answer, stamp: Moment, took: Duration) -> Granted {
    let ours = stamp.after(took / 2).as_millis();
    let clock_skew_ms = answer.server_time.as_millis().cast_signed().wrapping_sub_unsigned(ours);
    Granted {
        seconds: answer.seconds,
        clipped: answer.clipped,
        observed: answer.observed,
        clock_skew_ms,
        took,
    }
}
