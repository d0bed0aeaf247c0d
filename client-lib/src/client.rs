//! The client: knock, and knock-and-connect.

mod attempt;
mod builder;
mod knock_once;
mod retry;
mod unanswered;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use sknock_protocol::{Identity, ServerCertificate, Service, Transport};

pub use self::builder::ClientBuilder;
use self::retry::{Effort, Retry, SentKnock};
use crate::address::PublicAddresses;
use crate::clock::{self, Timer};
use crate::doubt::{self, Doubt};
use crate::error::{ConnectError, KnockError};
use crate::open_port::{OpenPort, Verified};
use crate::options::{KnockOptions, Protocol};
use crate::tcp_connect;

/// Requests access to services of one server, or of several that share one certificate.
///
/// A call blocks until access is granted, or until every attempt has failed. Calls may run in several threads
/// at a time.
#[derive(Debug)]
pub struct Client {
    identity: Arc<Identity>,
    server: ServerCertificate,
    options: KnockOptions,
    learnt: PublicAddresses,
}

/// A connection, and the grant that it uses.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The connection.
    pub stream: TcpStream,
    /// The result of the knock.
    pub opened: OpenPort,
}

impl Client {
    /// A client with all options at their defaults.
    pub fn new(identity: impl Into<Arc<Identity>>, server: ServerCertificate) -> Self {
        Self::builder(identity, server).build()
    }

    /// A builder for a client. Several clients may share one identity.
    pub fn builder(identity: impl Into<Arc<Identity>>, server: ServerCertificate) -> ClientBuilder {
        ClientBuilder::new(identity.into(), server)
    }

    fn with(identity: Arc<Identity>, server: ServerCertificate, options: KnockOptions) -> Self {
        Self { identity, server, options, learnt: PublicAddresses::default() }
    }

    /// Requests access to `services` on `host` (a name or an address); none means all that the certificate
    /// allows. The server grants all or nothing.
    ///
    /// The addresses of the host are tried in the resolver's order until one is verified. Without
    /// verification each gets one knock, and the first is reported.
    ///
    /// # Errors
    /// [`KnockError::Seal`] before anything is sent, [`KnockError::NotConfirmed`] if the server does not
    /// answer, [`KnockError::NothingListens`] if it granted access but nothing listens, and others.
    ///
    /// ```no_run
    /// use sknock::{Client, open_identity, open_server_certificate};
    ///
    /// let identity = open_identity("alice.pfx", "password")?;
    /// let server = open_server_certificate("gateway.cer")?;
    /// let opened = Client::new(identity, server).knock("gateway.example", &["tcp/22".parse()?])?;
    /// if let Some(granted) = &opened.granted {
    ///     println!("open on {} for {} s", opened.destination, granted.seconds);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn knock(&self, host: &str, services: &[Service]) -> Result<OpenPort, KnockError> {
        let rounds = if self.can_verify(services) { self.options.attempts } else { 1 };
        self.open(Retry::begin(self, host, services, self.effort(rounds, services))?)
    }

    /// Requests access to the TCP `port` on `host`, and connects to it.
    ///
    /// A connection that fails is tried again, with new knocks in between, until one succeeds or
    /// the time is over: neither a lost answer nor a service that is just starting makes it fail.
    ///
    /// # Errors
    /// Same as [`Client::knock`], and [`ConnectError::NothingListens`] if the server granted access and
    /// connections still fail.
    ///
    /// ```no_run
    /// use std::io::Read;
    /// use std::time::Duration;
    /// use sknock::{Client, Family, open_identity, open_server_certificate};
    ///
    /// let identity = open_identity("alice.pfx", "password")?;
    /// let server = open_server_certificate("gateway.cer")?;
    /// let client = Client::builder(identity, server)
    ///     .timeout(Duration::from_secs(5))
    ///     .family(Family::V4)
    ///     .build();
    /// let mut banner = [0; 8];
    /// client.connect("gateway.example", 22)?.read_exact(&mut banner)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        self.reach(host, port).map(|connection| connection.stream)
    }

    /// Same as [`Client::connect`], and also returns the result of the knock.
    pub fn reach(&self, host: &str, port: u16) -> Result<Connection, ConnectError> {
        let services = [Service::tcp(port).ok_or(ConnectError::NoPort)?];
        let effort = Effort { rounds: self.options.attempts, connects: true };
        self.open_and_connect(Retry::begin(self, host, &services, effort)?, port)
    }

    /// Same as [`Client::doubts`], and the reasons in our certificate against a knock for `services`; none
    /// means all that it allows. Call it before [`Client::knock`]: a [certain](Doubt::is_certain) doubt makes
    /// the knock pointless.
    pub fn doubts_about(&self, services: &[Service]) -> Vec<Doubt> {
        let Self { identity, server, options, .. } = self;
        doubt::about(identity, server, options.protocol_version, services, clock::now())
    }

    /// Certificate dates that prevent knocks from being accepted, now or soon. Empty if there are none.
    pub fn doubts(&self) -> Vec<Doubt> {
        doubt::ends(&self.identity, &self.server, clock::now())
    }

    fn open(&self, mut retry: Retry<'_>) -> Result<OpenPort, KnockError> {
        let services = retry.services();
        let mut unverified = None;
        let mut nothing_listens = None;
        while let Some(mut knocked) = retry.next()? {
            match self.confirm(&knocked, services) {
                Confirmation::Open(Verified::Connection) => {
                    retry.await_answer(&mut knocked);
                    return Ok(opened(&knocked, services, knocked.verified_by_connection()));
                }
                Confirmation::Open(verified) => return Ok(opened(&knocked, services, verified)),
                Confirmation::NotWanted => {
                    unverified.get_or_insert_with(|| opened(&knocked, services, Verified::No));
                }
                Confirmation::NothingListens(service, source) => {
                    if source.kind() == io::ErrorKind::ConnectionRefused {
                        retry.give_up_on(knocked.destination);
                    }
                    let opened = Box::new(opened(&knocked, services, Verified::Answer));
                    nothing_listens = Some(KnockError::NothingListens { service, opened, source });
                }
                Confirmation::Unknown => {}
            }
        }
        unverified.ok_or_else(|| nothing_listens.unwrap_or_else(|| retry.failure()))
    }

    fn open_and_connect(
        &self,
        mut retry: Retry<'_>,
        port: u16,
    ) -> Result<Connection, ConnectError> {
        let services = retry.services();
        let mut refused = None;
        let mut last = None;
        while let Some(knocked) = retry.next()? {
            let mut to = knocked.destination;
            to.set_port(port);
            match self.try_to_reach(to, &knocked) {
                Ok(stream) => {
                    let verified = knocked.verified_by_connection();
                    let opened = opened(&knocked, services, verified);
                    return Ok(Connection { stream, opened });
                }
                Err(source) => match knocked.granted {
                    Some(granted) => refused = Some((to, granted, source)),
                    None => last = Some((to, source)),
                },
            }
        }
        Err(match (refused, last) {
            (Some((to, granted, source)), _) => {
                ConnectError::NothingListens { to, granted, source }
            }
            (None, Some((to, source))) => {
                ConnectError::NotConfirmed { to, source, knock: Box::new(retry.failure()) }
            }
            (None, None) => retry.failure().into(),
        })
    }

    /// The first connection ends a single-use grant, so that attempt gets the whole time.
    fn try_to_reach(&self, to: SocketAddr, knocked: &SentKnock) -> io::Result<TcpStream> {
        if self.options.single_use {
            tcp_connect::once(to, knocked.timeout)
        } else {
            tcp_connect::until_deadline(to, knocked.timeout)
        }
    }

    fn confirm(&self, knocked: &SentKnock, services: &[Service]) -> Confirmation {
        if !self.can_verify(services) {
            return Confirmation::NotWanted;
        }
        let mut probes = services.iter().copied().filter(|service| self.may_probe(*service));
        if knocked.granted.is_none() {
            // The server grants all or nothing, so one open port proves the rest.
            let reached = probes.next().map(|service| {
                let to = at(knocked.destination, service);
                tcp_connect::unless_refused(to, knocked.timeout, knocked.wait)
            });
            return match reached {
                Some(Ok(_)) => Confirmation::Open(Verified::Connection),
                Some(Err(_)) | None => Confirmation::Unknown,
            };
        }
        let timer = Timer::of(knocked.timeout);
        for service in probes {
            if let Err(error) = tcp_connect::once(at(knocked.destination, service), timer.left()) {
                return Confirmation::NothingListens(service, error);
            }
        }
        Confirmation::Open(Verified::Answer)
    }

    fn effort(&self, rounds: u8, services: &[Service]) -> Effort {
        Effort { rounds, connects: services.iter().any(|service| self.may_probe(*service)) }
    }

    /// Whether verification is enabled and possible: without answers only a connection is proof.
    fn can_verify(&self, services: &[Service]) -> bool {
        let answers = self.options.protocol_version == Protocol::V2;
        self.options.verify && (answers || services.iter().any(|service| self.may_probe(*service)))
    }

    /// Whether a test connection is conclusive and harmless: in a range of ports most are idle, and a
    /// single-use grant would end.
    fn may_probe(&self, service: Service) -> bool {
        service.transport() == Transport::Tcp
            && service.first() == service.last()
            && !self.options.single_use
    }
}

enum Confirmation {
    Open(Verified),
    NothingListens(Service, io::Error),
    Unknown,
    NotWanted,
}

impl SentKnock {
    fn verified_by_connection(&self) -> Verified {
        if self.granted.is_some() { Verified::Answer } else { Verified::Connection }
    }
}

fn opened(knocked: &SentKnock, services: &[Service], verified: Verified) -> OpenPort {
    let destination: IpAddr = knocked.destination.ip();
    OpenPort { destination, services: services.to_vec(), verified, granted: knocked.granted }
}

fn at(mut destination: SocketAddr, service: Service) -> SocketAddr {
    destination.set_port(service.first());
    destination
}

#[cfg(test)]
pub(crate) mod tests;
