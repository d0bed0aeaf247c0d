//! A client's options, one after the other.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Identity, ServerCertificate};

use super::Client;
use crate::options::{Address, Family, KnockOptions, Protocol};

/// A [`Client`] in the making. Every option has a default that suits most.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    identity: Arc<Identity>,
    server: ServerCertificate,
    options: KnockOptions,
}

impl ClientBuilder {
    pub(super) fn new(identity: Arc<Identity>, server: ServerCertificate) -> Self {
        Self { identity, server, options: KnockOptions::default() }
    }

    /// Which protocol to knock with. Default: [`Protocol::V2`].
    pub fn dialect(mut self, dialect: Protocol) -> Self {
        self.options.dialect = dialect;
        self
    }

    /// The server's UDP port for knocks, 1..=65535. Default:
    /// [`DEFAULT_KNOCK_PORT`](crate::DEFAULT_KNOCK_PORT); with [`Protocol::V1`] any from 10000 to
    /// 60000, for each call anew.
    pub fn knock_port(mut self, port: u16) -> Self {
        self.options.knock_port = Some(port);
        self
    }

    /// How often every address of the host is knocked on at most, each time with a new knock.
    /// Default 3; 0 counts as 1.
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.options.attempts = attempts.max(1);
        self
    }

    /// How long the first attempt waits for an answer, and then for a connection; each following
    /// attempt waits twice as long as the one before. Default 1 s: enough for a satellite link.
    pub fn attempt_timeout(mut self, wait: Duration) -> Self {
        self.options.attempt_timeout = wait;
        self
    }

    /// How long a whole call may take, name resolution and all attempts included. Default 10 s.
    pub fn timeout(mut self, whole: Duration) -> Self {
        self.options.timeout = whole;
        self
    }

    /// Whether to make sure that the door is open: by the server's answer, and for single TCP
    /// ports by a connection too (not with [`single_use`](Self::single_use): it would be used up).
    /// Without it a call returns when the knocks are sent, one for each address. Default true.
    pub fn verify(mut self, verify: bool) -> Self {
        self.options.verify = verify;
        self
    }

    /// Which addresses of the host to use. Default: all.
    pub fn family(mut self, family: Family) -> Self {
        self.options.family = family;
        self
    }

    /// Which address to open for. Default: [`Address::Auto`].
    pub fn address(mut self, address: Address) -> Self {
        self.options.address = address;
        self
    }

    /// The address that servers beyond our NAT see, for [`Address::Auto`]. One for each family;
    /// the last one set counts.
    pub fn public_address(mut self, public: IpAddr) -> Self {
        let public = public.to_canonical();
        self.options.public.retain(|known| known.is_ipv4() != public.is_ipv4());
        self.options.public.push(public);
        self
    }

    /// For how many seconds the door should stay open; the server may shorten it.
    /// Default `None`: as long as the server likes.
    pub fn lifetime(mut self, seconds: Option<NonZeroU16>) -> Self {
        self.options.lifetime = seconds;
        self
    }

    /// Whether the first new connection closes the door behind it. TCP and single ports only; a
    /// host with several addresses should be narrowed to one [`family`](Self::family), for each
    /// address gets a door of its own. Default false.
    pub fn single_use(mut self, single_use: bool) -> Self {
        self.options.single_use = single_use;
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        Client::with(self.identity, self.server, self.options)
    }
}
