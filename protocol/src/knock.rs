//! A believed knock, whichever dialect it was spoken in.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::Service;
use crate::answer::AnswerKey;
use crate::crl::Revocation;
use crate::decrypted::{Encapsulation, KnockId};
use crate::refusal::Refusal;
use crate::subject::Subject;
use crate::timestamp::Timestamp;
use crate::trust::VerifiedCertificate;

/// A knock whose sender and content have been proven.
///
/// Certificate, revocation, signature, time and address are right. Only the dialects in this crate
/// can make one:
///
/// ```compile_fail,E0451
/// use sknock_protocol::{KnockId, Timestamp, VerifiedKnock};
/// fn forge(genuine: VerifiedKnock) -> VerifiedKnock {
///     VerifiedKnock { timestamp: Timestamp::EPOCH, ..genuine }
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct VerifiedKnock {
    pub(crate) id: KnockId,
    pub(crate) encapsulation: Encapsulation,
    pub(crate) timestamp: Timestamp,
    pub(crate) source: SocketAddr,
    pub(crate) claim: AddressClaim,
    pub(crate) services: Vec<Service>,
    pub(crate) lifetime: Option<u16>,
    pub(crate) single_use: bool,
    pub(crate) verified: Arc<VerifiedCertificate>,
    pub(crate) not_after: Timestamp,
    pub(crate) answer: Option<AnswerKey>,
}

impl VerifiedKnock {
    /// What makes this knock different from every other.
    pub fn id(&self) -> KnockId {
        self.id
    }

    /// The knock's one-time public key, by which a repetition is known before any decryption.
    pub fn encapsulation(&self) -> &Encapsulation {
        &self.encapsulation
    }

    /// When the client says it knocked.
    pub fn stamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Where the datagram came from.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// Whom to let in.
    pub fn claim(&self) -> AddressClaim {
        self.claim
    }

    /// What is asked for: ascending, without overlap; empty means all that the certificate allows.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// For how many seconds, 1..=65535; `None` leaves it to the server.
    pub fn lifetime(&self) -> Option<u16> {
        self.lifetime
    }

    /// Whether the first new connection uses the grant up.
    pub fn single_use(&self) -> bool {
        self.single_use
    }

    /// Who asks.
    pub fn subject(&self) -> &Subject {
        &self.verified.subject
    }

    /// Until when its certificate is valid, and every one above it on the path that ends last, of those that
    /// no list refuses.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The same by `revocation`: lists may have changed since the knock was verified. A refusal if a path that
    /// nobody refuses is not left.
    pub fn check_revocation(
        &self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        revocation.check(&self.verified.paths, now)
    }

    /// The key to answer with, if the client wants an answer.
    pub fn answer_key(&self) -> Option<&AnswerKey> {
        self.answer.as_ref()
    }
}

/// The addresses a knock asks for. All are canonical: never v4-mapped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddressClaim {
    pub(crate) first: IpAddr,
    pub(crate) signed: bool,
    pub(crate) second: Option<IpAddr>,
}

impl AddressClaim {
    /// The address that the datagram came from.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Whether the client signed its address, rather than "whatever the packet's source is".
    pub fn signed(&self) -> bool {
        self.signed
    }

    /// An address of the other family, always signed.
    pub fn second(&self) -> Option<IpAddr> {
        self.second
    }

    /// One or two addresses.
    pub fn all(&self) -> impl Iterator<Item = IpAddr> {
        [Some(self.first), self.second].into_iter().flatten()
    }
}
