//! Which protocol to knock with, and what the older one cannot say.

use std::str::FromStr;

use sknock_protocol::service::{MOST_PORTS, ports, union};
use sknock_protocol::{DEFAULT_KNOCK_PORT, Service, v1};

use crate::options::KnockOptions;
use crate::{Address, KnockError};

/// Which protocol to knock with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// The protocol of today.
    #[default]
    V2,
    /// That of the original sKnock 1.0, for its servers. It asks for one port, from the client's own
    /// (or the given) address, gets no answer, and keys must be on P-256.
    V1,
}

/// A text names no protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write v1 or v2")]
pub struct UnknownProtocol;

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            _ => Err(UnknownProtocol),
        }
    }
}

impl KnockOptions {
    /// The UDP port of the knocks of one call: the original's clients pick one, as its servers listen
    /// to all.
    pub(crate) fn port(&self) -> Result<u16, KnockError> {
        match (self.knock_port, self.dialect) {
            (Some(port), _) => Ok(port),
            (None, Protocol::V2) => Ok(DEFAULT_KNOCK_PORT),
            (None, Protocol::V1) => Ok(v1::draw_knock_port()?),
        }
    }

    /// Refuses what the dialect cannot say, or no server grants, before anything is sent.
    pub(crate) fn check(&self, services: &[Service]) -> Result<(), KnockError> {
        if self.dialect == Protocol::V2 {
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
