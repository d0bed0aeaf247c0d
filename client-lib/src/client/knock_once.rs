//! One knock to one address: a new key and timestamp, one datagram, perhaps an answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use sknock_protocol::v2::{self, ClaimedAddress, KnockRequest, SealError};
use sknock_protocol::{Answer, Service, Timestamp, v1};

use super::Client;
use super::attempt::KnockAttempt;
use super::unanswered::{Unanswered, UnansweredKnock};
use crate::address;
use crate::clock::{self, Timer};
use crate::error::KnockError;
use crate::open_port::Granted;
use crate::options::{Address, Protocol};

/// A knock that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) claimed: Option<IpAddr>,
    pub(crate) granted: Option<Granted>,
}

/// A knock that could not be sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    Seal(KnockError),
    Socket(io::Error),
}

impl From<SealError> for NotSent {
    fn from(error: SealError) -> Self {
        Self::Seal(error.into())
    }
}

impl From<v1::V1SealError> for NotSent {
    fn from(error: v1::V1SealError) -> Self {
        Self::Seal(error.into())
    }
}

impl From<io::Error> for NotSent {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl Client {
    /// Sends one knock, and waits for the answer if the protocol has one. The answer may also be to
    /// one of the `unanswered` knocks of earlier attempts.
    pub(super) fn knock_once(
        &self,
        attempt: &KnockAttempt,
        services: &[Service],
        unanswered: &mut Unanswered,
    ) -> Result<Sent, NotSent> {
        let KnockAttempt { destination, wait, is_last } = *attempt;
        let socket = socket_to(destination)?;
        let local = socket.local_addr()?.ip();
        let claim = self.claim(local, destination.ip());
        if self.options.protocol_version == Protocol::V1 {
            return self.knock_once_v1(&socket, claim, services);
        }
        let request = self.request(clock::now(), claim, services, wait.is_some());
        let seal = if is_last { v2::seal_low } else { v2::seal };
        let sealed = seal(&self.identity, &self.server, &request)?;
        // The clock is read again: on slow machines encryption takes time, which is not clock skew.
        let sent = clock::now();
        let timer = Timer::of(wait.unwrap_or_default());
        send(&socket, &sealed.datagram)?;
        let (key, since) = (sealed.answer_key, timer);
        unanswered.push(UnansweredKnock { destination, socket, key, sent, since })?;
        let answered = wait.and_then(|_| unanswered.wait(&timer));
        let granted = answered.map(|(answer, sent, took)| match_answer(answer, sent, took));
        if let Some(granted) = &granted {
            self.learn(local, destination.ip(), granted);
        }
        let claimed = match claim {
            ClaimedAddress::Source => None,
            ClaimedAddress::Ip(address) => Some(address),
        };
        Ok(Sent { claimed, granted })
    }

    /// The original's server reads the address that the client states, and never answers.
    fn knock_once_v1(
        &self,
        socket: &UdpSocket,
        claim: ClaimedAddress,
        services: &[Service],
    ) -> Result<Sent, NotSent> {
        let address = match claim {
            ClaimedAddress::Ip(address) => address,
            ClaimedAddress::Source => socket.local_addr()?.ip(),
        };
        for &service in services {
            let request = v1::V1KnockRequest { stamp: clock::now(), service, address };
            send(socket, &v1::seal(&self.identity, &self.server, &request)?)?;
        }
        Ok(Sent { claimed: Some(address), granted: None })
    }

    fn request(
        &self,
        stamp: Timestamp,
        address: ClaimedAddress,
        services: &[Service],
        answer: bool,
    ) -> KnockRequest {
        KnockRequest {
            stamp,
            lifetime: self.options.lifetime,
            single_use: self.options.single_use,
            answer,
            address,
            second: None,
            services: services.to_vec(),
        }
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

/// Assumes that the server read its clock halfway between sending and receiving.
pub(super) fn match_answer(answer: Answer, sent: Timestamp, took: Duration) -> Granted {
    let ours = sent.after(took / 2).as_millis();
    let theirs = i64::try_from(answer.server_time.as_millis()).unwrap_or(i64::MAX);
    let clock_skew_ms = theirs.saturating_sub_unsigned(ours);
    Granted {
        seconds: answer.seconds,
        clipped: answer.clipped,
        observed: answer.observed,
        clock_skew_ms,
        took,
    }
}

/// A connected UDP socket: the kernel chooses its local address by the route, and filters other senders.
fn socket_to(destination: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    allow_fragments(&socket, destination);
    socket.connect(destination)?;
    Ok(socket)
}

/// Sends one datagram. Retries if a signal interrupts it.
fn send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    loop {
        match socket.send(datagram) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(|_| ()),
        }
    }
}

/// Lets routers fragment a knock that exceeds a link's MTU. Linux sets "do not fragment" by default, so a
/// router before a smaller link drops the packet, and its ICMP message may be lost. Other systems do not set
/// it for UDP. IPv6 needs nothing: every link carries 1280 bytes, and a knock is smaller.
#[cfg(target_os = "linux")]
fn allow_fragments(socket: &UdpSocket, destination: SocketAddr) {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
    if destination.is_ipv4() {
        // Without it, most paths still carry a knock.
        let _: rustix::io::Result<()> = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::OMIT);
    }
}

#[cfg(not(target_os = "linux"))]
fn allow_fragments(_: &UdpSocket, _: SocketAddr) {}

#[cfg(test)]
mod tests {
    use sknock_certs::Authority;

    use super::*;
    use crate::{ClientBuilder, network};

    const LONG: Duration = Duration::from_secs(30);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn alice() -> ClientBuilder {
        let folder = tempfile::tempdir().unwrap();
        let now = clock::now();
        let authority = Authority::init(&folder.path().join("ca"), None, 9, now).unwrap();
        let gate = authority.server("gate", 9, "secret", now).unwrap();
        let alice = authority.client("alice", &["tcp/22".parse().unwrap()], 9, "secret", now);
        let identity = crate::open_identity(alice.unwrap().pfx, "secret").unwrap();
        let server = crate::open_server_certificate(gate.certificate.unwrap()).unwrap();
        Client::builder(identity, server)
    }

    fn observed(address: &str) -> Granted {
        let (observed, took) = (SocketAddr::new(ip(address), 9), Duration::ZERO);
        Granted { seconds: 15, clipped: false, observed, clock_skew_ms: 0, took }
    }

    #[test]
    fn an_icmp_error_does_not_end_the_wait() {
        network::of_its_own();
        let client = alice().build();
        let request = client.request(clock::now(), ClaimedAddress::Source, &[], true);
        let sealed = v2::seal(&client.identity, &client.server, &request).unwrap();
        // Below the range of ephemeral ports.
        let gate: SocketAddr = ([127, 66, 1, 1], 2222).into();
        let socket = socket_to(gate).unwrap();
        let observed = socket.local_addr().unwrap();
        let server_time = clock::now();
        let answer = Answer { clipped: false, seconds: 15, server_time, observed };
        let bytes = sealed.answer_key.seal(&answer).unwrap();
        socket.send(&sealed.datagram).unwrap(); // port unreachable
        let (key, sent, since) = (sealed.answer_key, server_time, Timer::of(LONG));
        let mut unanswered = Unanswered::default();
        let knock = UnansweredKnock { destination: gate, socket, key, sent, since };
        unanswered.push(knock).unwrap();
        let late = UdpSocket::bind(gate).unwrap();
        late.send_to(&bytes, observed).unwrap();
        let received = unanswered.wait(&Timer::of(LONG)).map(|(answer, ..)| answer);
        assert_eq!(received, Some(answer));
    }

    #[test]
    fn an_address_learnt_from_an_answer_is_signed_next_time() {
        let client = alice().build();
        let (private, server) = (ip("192.168.77.1"), ip("9.9.9.9"));
        assert_eq!(client.claim(private, server), ClaimedAddress::Source);
        client.learn(private, server, &observed("5.5.5.5"));
        assert_eq!(client.claim(private, server), ClaimedAddress::Ip(ip("5.5.5.5")));
        assert_eq!(client.claim(private, ip("9.9.9.8")), ClaimedAddress::Source);
        client.learn(ip("192.168.77.2"), server, &observed("192.168.77.2"));
        assert_eq!(client.claim(ip("192.168.77.2"), server), ClaimedAddress::Source);
    }

    #[test]
    fn a_configured_address_comes_before_a_learnt_one() {
        let client = alice().public_address(ip("6.6.6.6")).public_address(ip("2a00::6")).build();
        let (private, server) = (ip("192.168.77.1"), ip("9.9.9.9"));
        client.learn(private, server, &observed("5.5.5.5"));
        assert_eq!(client.claim(private, server), ClaimedAddress::Ip(ip("6.6.6.6")));
        assert_eq!(client.claim(ip("fd00::1"), ip("2a01::1")), ClaimedAddress::Ip(ip("2a00::6")));
        let behind_nat64 = client.claim(ip("2a02::1"), ip("64:ff9b::9.9.9.9"));
        assert_eq!(behind_nat64, ClaimedAddress::Ip(ip("6.6.6.6")));
    }

    #[test]
    fn a_configured_address_choice_is_used() {
        let (local, server) = (ip("9.8.7.6"), ip("9.9.9.9"));
        let source = alice().address(Address::Source).build();
        assert_eq!(source.claim(local, server), ClaimedAddress::Source);
        let fixed = alice().address(Address::Ip(ip("::ffff:5.5.5.5"))).build();
        assert_eq!(fixed.claim(local, server), ClaimedAddress::Ip(ip("5.5.5.5")));
    }

    #[test]
    fn the_clocks_are_compared_in_the_middle() {
        let sent = Timestamp::from_secs(1000);
        let at = |millis| Answer {
            clipped: false,
            seconds: 15,
            server_time: Timestamp::from_millis(millis),
            observed: ([192, 0, 2, 1], 9).into(),
        };
        let skew = |millis| match_answer(at(millis), sent, Duration::from_millis(40)).clock_skew_ms;
        assert_eq!(skew(1_000_020), 0);
        assert_eq!(skew(1_003_020), 3000);
        assert_eq!(skew(997_020), -3000);
        assert_eq!(skew(0), -1_000_020);
        assert!(skew(u64::MAX) > 0, "a hostile server's clock");
    }
}
