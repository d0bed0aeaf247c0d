//! All attempts for one host: each round sends a new knock to every address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sknock_protocol::service::{MOST_PORTS, ports, union};
use sknock_protocol::{DEFAULT_KNOCK_PORT, Service, v1};
use sknock_types::is_claimable;

use super::Client;
use super::attempt::{AttemptPlace, KnockAttempt};
use super::knock_once::{NotSent, Sent, match_answer};
use super::unanswered::Unanswered;
use crate::clock::Timer;
use crate::error::KnockError;
use crate::open_port::{Granted, Tried};
use crate::options::{Address, KnockOptions, Protocol};
use crate::resolve;

/// Attempts in progress.
#[derive(Debug)]
pub(crate) struct Retry<'a> {
    client: &'a Client,
    host: &'a str,
    services: &'a [Service],
    effort: Effort,
    round: u8,
    destinations: Vec<SocketAddr>,
    /// The knock port of all destinations.
    port: u16,
    /// The index in `destinations` that is next in this round.
    at: usize,
    timer: Timer,
    tried: Vec<Tried>,
    unanswered: Unanswered,
    last_error: Option<io::Error>,
}

/// How much is done for each address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Knocks.
    pub(crate) rounds: u8,
    /// Whether a knock that is not answered is followed by a connection.
    pub(crate) connects: bool,
}

/// How long is waited at the end: for an answer when a connection was there before it, as on a busy server, and for a
/// connection after an answer that came when the time was over.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// A knock that was sent, and how long to try its connection.
#[derive(Debug)]
pub(crate) struct SentKnock {
    pub(crate) destination: SocketAddr,
    pub(crate) granted: Option<Granted>,
    pub(crate) timeout: Duration,
    /// How long a grant may take effect: a connection that is still refused later has failed.
    pub(crate) wait: Duration,
}

impl<'a> Retry<'a> {
    /// Resolves the host; nothing is sent yet.
    pub(crate) fn begin(
        client: &'a Client,
        host: &'a str,
        services: &'a [Service],
        effort: Effort,
    ) -> Result<Self, KnockError> {
        let options = &client.options;
        options.check(services)?;
        if let Address::Ip(claimed) = options.address
            && !is_claimable(claimed)
        {
            return Err(KnockError::Address(claimed));
        }
        let timer = Timer::of(options.timeout);
        let mut destinations =
            resolve::resolve(host, options.port()?, options.family, timer.left())?;
        resolve::fit_claim(&mut destinations, options.address);
        Ok(Self::at(client, host, destinations, services, effort, timer))
    }

    /// For addresses that are already known.
    pub(crate) fn at(
        client: &'a Client,
        host: &'a str,
        destinations: Vec<SocketAddr>,
        services: &'a [Service],
        effort: Effort,
        timer: Timer,
    ) -> Self {
        let (tried, unanswered, last_error) = (Vec::new(), Unanswered::default(), None);
        let port = destinations.first().map_or(0, SocketAddr::port);
        Self {
            client,
            host,
            services,
            effort,
            round: 0,
            destinations,
            port,
            at: 0,
            timer,
            tried,
            unanswered,
            last_error,
        }
    }

    /// The requested services.
    pub(crate) fn services(&self) -> &'a [Service] {
        self.services
    }

    /// Sends the next knock. After the last round or the time limit, the knocks that were answered since; then
    /// `None`.
    pub(crate) fn next(&mut self) -> Result<Option<SentKnock>, KnockError> {
        while !self.timer.is_over() && !self.destinations.is_empty() {
            let Some(&destination) = self.destinations.get(self.at) else {
                self.round += 1;
                self.at = 0;
                continue;
            };
            if self.round >= self.effort.rounds {
                break;
            }
            let wait = self.client.options.verify.then(|| self.wait());
            let attempt = KnockAttempt { destination, wait, is_last: self.is_last() };
            let sent = self.client.knock_once(&attempt, self.services, &mut self.unanswered);
            match sent {
                Ok(sent) => return Ok(Some(self.note(destination, sent))),
                Err(NotSent::Seal(error)) => return Err(error),
                Err(NotSent::Socket(error)) => self.last_error = Some(error),
            }
            self.at += 1;
        }
        Ok(self.answered_since())
    }

    /// An answer that came while a connection was tried.
    fn answered_since(&mut self) -> Option<SentKnock> {
        let (destination, (answer, sent, took)) = self.unanswered.arrived()?;
        let granted = Some(match_answer(answer, sent, took));
        let timeout = self.timeout(granted.as_ref()).max(LAST_WAIT);
        Some(SentKnock { destination, granted, timeout, wait: timeout })
    }

    /// Waits a little for the answer to the latest knock: its port is reachable already.
    pub(crate) fn await_answer(&mut self, knocked: &mut SentKnock) {
        let answered = self.unanswered.wait(&Timer::of(LAST_WAIT));
        knocked.granted = answered.map(|(answer, sent, took)| match_answer(answer, sent, took));
    }

    /// Ends the attempts at this address.
    pub(crate) fn give_up_on(&mut self, destination: SocketAddr) {
        if let Some(place) = self.destinations.iter().position(|one| *one == destination) {
            self.destinations.remove(place);
            self.at -= usize::from(place < self.at);
        }
    }

    /// The error after all attempts.
    pub(crate) fn failure(self) -> KnockError {
        let host = self.host.to_owned();
        if self.tried.is_empty() {
            let late = || {
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the time ended before a knock could be sent",
                )
            };
            return KnockError::NotSent { host, source: self.last_error.unwrap_or_else(late) };
        }
        let doubts = self.client.doubts_about(self.services);
        KnockError::NotConfirmed { host, port: self.port, tried: self.tried, doubts }
    }

    fn note(&mut self, destination: SocketAddr, sent: Sent) -> SentKnock {
        let tried = Tried { destination: destination.ip(), claimed: sent.claimed };
        if !self.tried.contains(&tried) {
            self.tried.push(tried);
        }
        let (timeout, wait) = (self.timeout(sent.granted.as_ref()), self.wait());
        self.at += 1;
        SentKnock { destination, granted: sent.granted, timeout, wait }
    }

    /// Whether this is the last attempt at this address.
    fn is_last(&self) -> bool {
        let Effort { rounds, connects } = self.effort;
        let place = AttemptPlace {
            round: self.round,
            rounds,
            at: self.at,
            addresses: self.destinations.len(),
        };
        place.is_last(self.client.options.attempt_timeout, connects, self.timer.left())
    }

    /// How long this round waits: twice as long as the one before.
    fn wait(&self) -> Duration {
        let doubled = 2u32.saturating_pow(self.round.into());
        self.client.options.attempt_timeout.saturating_mul(doubled).min(self.timer.left())
    }

    /// One wait while there are other addresses to try; in the last round the whole remaining time, divided
    /// among the remaining addresses. Never longer than the grant.
    fn timeout(&self, granted: Option<&Granted>) -> Duration {
        let last_round = self.round + 1 >= self.effort.rounds;
        let alone = self.destinations.len() == 1;
        let timeout = if last_round || (alone && granted.is_some()) {
            let later = u32::try_from(self.destinations.len() - self.at).unwrap_or(u32::MAX);
            self.timer.left() / later.max(1)
        } else {
            self.wait()
        };
        let open =
            granted.map_or(Duration::MAX, |granted| Duration::from_secs(granted.seconds.into()));
        timeout.min(open)
    }
}

impl KnockOptions {
    /// The knock port of one call: the original's clients choose a random one, as its servers receive on all.
    fn port(&self) -> Result<u16, KnockError> {
        match (self.knock_port, self.protocol_version) {
            (Some(port), _) => Ok(port),
            (None, Protocol::V2) => Ok(DEFAULT_KNOCK_PORT),
            (None, Protocol::V1) => Ok(v1::draw_knock_port()?),
        }
    }

    /// Refuses requests that the protocol cannot express or that no server grants, before anything is sent.
    fn check(&self, services: &[Service]) -> Result<(), KnockError> {
        if self.protocol_version == Protocol::V2 {
            return match ports(&union(services.iter().copied())) {
                many if many > MOST_PORTS => Err(KnockError::TooManyPorts(many)),
                _ => Ok(()),
            };
        }
        let single = matches!(services, [service] if service.first() == service.last());
        let what = if !single {
            "open more than one single port"
        } else if self.lifetime.is_some() {
            "request a duration"
        } else if self.single_use {
            "request a single-use grant"
        } else if self.address == Address::Source {
            "use the source address of the packet"
        } else {
            return Ok(());
        };
        Err(KnockError::NotInV1(what))
    }
}
