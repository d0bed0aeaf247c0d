//! The part of a refusal that saves the decryption of the same datagram.
//!
//! An attacker who copies a datagram can send it again, any number of times, from any address. They can also
//! send it *first*, before the original arrives, from an address for which it is refused. So a memo never
//! records "this knock was refused", but the *reason*; and it refuses again only as long as a second check
//! must have the same result:
//!
//! | refused for | a second check is pointless | because |
//! |---|---|---|
//! | its content: not for us, malformed, signature, an unsigned or a second address | always | key and rules
//! do not change while the process lives, and the bytes are the same |
//! | its timestamp | while the timestamp is outside the window | the window is checked again with the
//! decrypted timestamp |
//! | its address | from any source that does not match the claimed address | the claim is checked again for
//! the new source |
//! | the certificate, or revocation | in the same second, with the same CRLs | dates have a resolution of
//! seconds. Checked again each second, until the timestamp is outside the window |
//! | the replay memory: full, shares, disk | in the same second | the same |
//!
//! Two datagrams are the same if all bytes under the veil are ([`Unveiled::content`]). The one-time key alone
//! is not enough: an attacker on the path could send it first with another ciphertext, which is refused, and
//! the original would be refused with it.
//!
//! [`Unveiled::content`]: crate::Unveiled::content

use crate::decrypted::{ClaimedAddress, KnockRequest, ProvenSender};
use crate::knock::VerifiedKnock;
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// The reason for a refusal, and the conditions under which a second check could differ. A hundred bytes.
#[derive(Clone, Debug)]
pub struct RefusalMemo {
    pub(crate) reason: Refusal,
    pub(crate) ground: Ground,
}

/// The cause of the refusal.
#[derive(Clone, Debug)]
pub(crate) enum Ground {
    /// Properties that do not change while the process lives.
    Content,
    /// The timestamp; if it is within the window, these conditions too.
    Stamped(KnockRequest, Besides),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Besides {
    /// None.
    Nothing,
    /// The source address.
    Source,
    /// Conditions that may differ in another second, or with other CRLs.
    Second(Second),
}

/// The second, and the revision of the CRLs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Second {
    second: u64,
    lists: u64,
}

impl Second {
    /// The moment `now`. `lists` is a number that changes with each change of CRLs.
    pub fn new(now: Timestamp, lists: u64) -> Self {
        Self { second: now.as_secs(), lists }
    }
}

impl RefusalMemo {
    /// For a refusal at or after the decryption; `request` is its content, if it was decrypted.
    pub(crate) fn new(reason: Refusal, request: Option<&KnockRequest>, second: Second) -> Self {
        let besides = match reason {
            Refusal::StampTooOld | Refusal::StampInFuture => Some(Besides::Nothing),
            Refusal::AddressMismatch | Refusal::AddressUnusable => Some(Besides::Source),
            Refusal::BadCertificate
            | Refusal::UnknownAuthority
            | Refusal::CertificateExpired
            | Refusal::CertificateNotYetValid
            | Refusal::NotAClientCertificate
            | Refusal::RevocationUnknown
            | Refusal::Revoked => Some(Besides::Second(second)),
            _ => None,
        };
        let ground = besides.zip(request).map_or(Ground::Content, |(besides, request)| {
            Ground::Stamped(without_services(request), besides)
        });
        Self { reason, ground }
    }

    /// For a verified knock, refused because of the replay memory's content or capacity.
    pub fn of_proven(knock: &VerifiedKnock, second: Second) -> Unfounded {
        Unfounded { stamp: knock.stamp(), second }
    }

    /// The reason of the first refusal.
    pub fn reason(&self) -> Refusal {
        self.reason
    }
}

/// A memo whose reason is not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Unfounded {
    stamp: Timestamp,
    second: Second,
}

impl Unfounded {
    /// The memo of a refusal for this reason.
    pub fn because(self, reason: Refusal) -> RefusalMemo {
        let ground = match reason {
            // Neither condition ever ends: an admitted knock, or a timestamp below the floor.
            Refusal::Replayed | Refusal::BeforeMemory => Ground::Content,
            _ => Ground::Stamped(stamped(self.stamp), Besides::Second(self.second)),
        };
        RefusalMemo { reason, ground }
    }
}

/// The fields that the checks of time and address need.
fn without_services(request: &KnockRequest) -> KnockRequest {
    KnockRequest { address: request.address, second: request.second, ..stamped(request.stamp) }
}

fn stamped(stamp: Timestamp) -> KnockRequest {
    KnockRequest {
        stamp,
        lifetime: None,
        single_use: false,
        answer: false,
        address: ClaimedAddress::Source,
        second: None,
        services: Vec::new(),
    }
}

/// A refused datagram.
#[derive(Clone, Debug)]
pub struct RefusedDatagram {
    /// The reason.
    pub reason: Refusal,
    /// Saves the decryption of the next copy.
    pub refusal_memo: RefusalMemo,
    /// The sender, if verified: for the audit log.
    pub sender: Option<Box<ProvenSender>>,
}
