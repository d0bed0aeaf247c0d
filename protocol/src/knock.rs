//! A verified knock, of either protocol version.

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

/// A knock whose sender and content are verified.
///
/// Certificate, revocation, signature, time and address are right. Only this crate can construct one:
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
    /// Identifies this knock.
    pub fn id(&self) -> KnockId {
        self.id
    }

    /// The knock's one-time public key, which identifies a repetition before any decryption.
    pub fn encapsulation(&self) -> &Encapsulation {
        &self.encapsulation
    }

    /// The client's clock when it made the knock.
    pub fn stamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The source of the datagram.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// The addresses to grant.
    pub fn claim(&self) -> AddressClaim {
        self.claim
    }

    /// The requested services: ascending, without overlap; empty means all that the certificate allows.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The requested lifetime in seconds, 1..=65535; `None` leaves it to the server.
    pub fn lifetime(&self) -> Option<u16> {
        self.lifetime
    }

    /// Whether the first new connection ends the grant.
    pub fn single_use(&self) -> bool {
        self.single_use
    }

    /// The holder of the certificate.
    pub fn subject(&self) -> &Subject {
        &self.verified.subject
    }

    /// The end of validity: the earliest notAfter on the path that is valid longest, among the paths without
    /// a revoked certificate.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Like `not_after`, by `revocation`: CRLs may have changed since the knock was verified. A refusal if no
    /// unrevoked path is left.
    pub fn check_revocation(
        &self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        revocation.check(&self.verified.paths, now)
    }

    /// The key for the answer, if the client requested one.
    pub fn answer_key(&self) -> Option<&AnswerKey> {
        self.answer.as_ref()
    }
}

/// The addresses for which a knock requests access. All are canonical: never v4-mapped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddressClaim {
    pub(crate) first: IpAddr,
    pub(crate) signed: bool,
    pub(crate) second: Option<IpAddr>,
}

impl AddressClaim {
    /// The source address of the datagram.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Whether the client signed its address, instead of leaving it to the packet's source.
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
