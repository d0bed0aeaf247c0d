//! A client's options.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Identity, ServerCertificate};

use super::Client;
use crate::options::{Address, Family, KnockOptions, Protocol};

/// Builds a [`Client`]. Every option has a default that suits most users.
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

    /// The protocol version. Default: [`Protocol::V2`].
    pub fn protocol_version(mut self, protocol_version: Protocol) -> Self {
        self.options.protocol_version = protocol_version;
        self
    }

    /// The server's knock port, 1..=65535. Default: [`DEFAULT_KNOCK_PORT`](crate::DEFAULT_KNOCK_PORT); with
    /// [`Protocol::V1`] a random one from 10000 to 60000 for each call.
    pub fn knock_port(mut self, port: u16) -> Self {
        self.options.knock_port = Some(port);
        self
    }

    /// Maximum number of knocks to every address of the host. Default 3; 0 is treated as 1. With a clock that differs
    /// by less than an hour from the server's, the server can log why it refuses the last one.
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

    /// Time limit of a whole call, including name resolution and all attempts. Default 10 s.
    pub fn timeout(mut self, whole: Duration) -> Self {
        self.options.timeout = whole;
        self
    }

    /// Whether to verify that access was granted: by the server's answer, and for single TCP ports by a
    /// connection too (not with [`single_use`](Self::single_use): it would end the grant). Without it a call
    /// returns when the knocks are sent, one for each address. Default true.
    pub fn verify(mut self, verify: bool) -> Self {
        self.options.verify = verify;
        self
    }

    /// The address family of the host. Default: all.
    pub fn family(mut self, family: Family) -> Self {
        self.options.family = family;
        self
    }

    /// The client address for the grant. Default: [`Address::Auto`].
    pub fn address(mut self, address: Address) -> Self {
        self.options.address = address;
        self
    }

    /// The address that servers beyond the NAT see, for [`Address::Auto`]. One for each family; the last one
    /// set applies.
    pub fn public_address(mut self, public: IpAddr) -> Self {
        let public = public.to_canonical();
        self.options.public.retain(|known| known.is_ipv4() != public.is_ipv4());
        self.options.public.push(public);
        self
    }

    /// Requested duration of the grant in seconds; the server may shorten it. Default `None`: the server's
    /// default.
    pub fn lifetime(mut self, seconds: Option<NonZeroU16>) -> Self {
        self.options.lifetime = seconds;
        self
    }

    /// Whether the grant ends with its first connection. TCP and single ports only; restrict a host with
    /// several addresses to one [`family`](Self::family), because each address gives a grant of its own.
    /// Default false.
    pub fn single_use(mut self, single_use: bool) -> Self {
        self.options.single_use = single_use;
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        Client::with(self.identity, self.server, self.options)
    }
}
