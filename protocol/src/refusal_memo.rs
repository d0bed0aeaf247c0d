//! What is worth remembering of a refusal, so that the same datagram again costs no decryption.
//!
//! Whoever captures a datagram can send it again, as often as they like, from any address. So can they
//! send it *first*, before the original arrives, from an address that gets it refused. A memo therefore
//! never says "this knock was refused", but what it was refused *for*; and it refuses again only as long
//! as a second look could come to nothing else:
//!
//! | refused for | a second look is pointless | because |
//! |---|---|---|
//! | what is in it: not for us, malformed, signature, an address left open or a second one | always | key and rules stay as long as the process, and the bytes are the same |
//! | its stamp | while the stamp is outside the window | the window is asked again, by the stamp that was found |
//! | its address | from any source that does not fit what is claimed | the claim is asked again, for the new source |
//! | the certificate, or revocation | in the same second, by the same lists | dates count in seconds. Asked again each second, until the stamp is outside the window |
//! | the server's memory: full, shares, disk | in the same second | the same |
//!
//! Two datagrams are the same if all that lies under the veil is ([`Unveiled::content`]). The one-time key
//! alone would not do: anybody on the path could send it first with a ciphertext of their own, which is
//! refused, and the original with it.
//!
//! [`Unveiled::content`]: crate::Unveiled::content

use crate::decrypted::{ClaimedAddress, KnockRequest, ProvenSender};
use crate::knock::VerifiedKnock;
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// Why a datagram was refused, and what a second look would depend on. A hundred bytes.
#[derive(Clone, Debug)]
pub struct RefusalMemo {
    pub(crate) reason: Refusal,
    pub(crate) ground: Ground,
}

/// What the refusal rests on.
#[derive(Clone, Debug)]
pub(crate) enum Ground {
    /// On what does not change while the process lives.
    Content,
    /// On the time, first of all; and if the stamp is within the window, on this.
    Stamped(KnockRequest, Besides),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Besides {
    /// On nothing.
    Nothing,
    /// On where it comes from.
    Source,
    /// On what may be different in another second, or with other lists.
    Second(Second),
}

/// When, and by which lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Second {
    second: u64,
    lists: u64,
}

impl Second {
    /// Of the moment `now`. `lists` is another number whenever revocation lists have changed.
    pub fn new(now: Timestamp, lists: u64) -> Self {
        Self { second: now.as_secs(), lists }
    }
}

impl RefusalMemo {
    /// Of a refusal at or behind the decryption; `wish` is what was found in it, if anything was.
    pub(crate) fn new(reason: Refusal, wish: Option<&KnockRequest>, second: Second) -> Self {
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
        let ground = besides.zip(wish).map_or(Ground::Content, |(besides, wish)| {
            Ground::Stamped(without_services(wish), besides)
        });
        Self { reason, ground }
    }

    /// Of a knock that was proven, and refused for what the server remembers or has no room for.
    pub fn of_proven(knock: &VerifiedKnock, second: Second) -> Unfounded {
        Unfounded { stamp: knock.stamp(), second }
    }

    /// Why it was refused.
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
            // Admitted once, or stamped before what is remembered: neither is ever undone.
            Refusal::Replayed | Refusal::BeforeMemory => Ground::Content,
            _ => Ground::Stamped(stamped(self.stamp), Besides::Second(self.second)),
        };
        RefusalMemo { reason, ground }
    }
}

/// What time and address are judged by.
fn without_services(wish: &KnockRequest) -> KnockRequest {
    KnockRequest { address: wish.address, second: wish.second, ..stamped(wish.stamp) }
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

/// A datagram that is not believed.
#[derive(Clone, Debug)]
pub struct Disbelieved {
    /// Why.
    pub reason: Refusal,
    /// For the next time.
    pub refusal_memo: RefusalMemo,
    /// Who sent it, if that was proven all the same: for the audit log.
    pub sender: Option<Box<ProvenSender>>,
}
