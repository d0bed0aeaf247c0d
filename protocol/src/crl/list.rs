//! One verified revocation list.

use std::time::Duration;

use super::entries::{self, Serials};
use super::error::CrlError;
use super::mark::CrlMark;
use super::parse::{self, Outline};
use super::scope::Scope;
use crate::crypto::sha256;
use crate::der::{self, DerElements};
use crate::subject::IssuerId;
use crate::timestamp::Timestamp;
use crate::trust::{Issuer, NotSigned, TrustStore};

/// How far ahead of ours the clock of a CA may be.
///
/// Small, because a list from the future could not be replaced by a right one until then.
pub const FUTURE_SLACK: Duration = Duration::from_secs(5 * 60);

/// What a list says of itself before anybody has believed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CrlHeader {
    /// SHA-256 of the issuer's distinguished name (DER). Which of those with this name it is, only
    /// [`RevocationList::signer`] tells.
    pub issuer_name: [u8; 32],
    /// All bytes of the list.
    pub length: usize,
}

/// The list of the certificates that one issuer revoked, signed by it: complete within its [`Scope`].
#[derive(Debug)]
pub struct RevocationList {
    issuer: IssuerId,
    issuer_name: String,
    /// SHA-256 of the issuer's distinguished name (DER).
    issuer_dn: [u8; 32],
    number: Option<Vec<u8>>,
    scope: Scope,
    this_update: Timestamp,
    next_update: Timestamp,
    serials: Serials,
}

impl RevocationList {
    /// As many bytes of a list as [`RevocationList::announced`] may need: the issuer's name is among
    /// them, as a rule a few hundred.
    pub const HEAD: usize = 16 << 10;

    /// Verifies a list (DER) signed by one of the authorities; whether it is current is not asked.
    ///
    /// Takes 20 bytes of memory for each entry, and nothing for a list that is not signed. How
    /// large a list may be is the caller's to say before reading it; 4 GiB is the format's limit.
    pub fn verify(list: &[u8], trust_store: &TrustStore) -> Result<Self, CrlError> {
        let outline = Outline::of(list)?;
        let issuer = signer(&outline, trust_store)?;
        let (number, scope) = entries::number_and_scope(outline.extensions)?;
        Ok(Self {
            issuer: *issuer.id(),
            issuer_name: issuer.name().to_owned(),
            issuer_dn: sha256(outline.issuer),
            number,
            scope,
            this_update: outline.this_update,
            next_update: outline.next_update,
            serials: entries::serials(outline.entries)?,
        })
    }

    /// Which authority has signed a list (DER), without reading what it says.
    pub fn signer(list: &[u8], trust_store: &TrustStore) -> Result<IssuerId, CrlError> {
        Ok(*signer(&Outline::of(list)?, trust_store)?.id())
    }

    /// What the first bytes of a list (DER) say of it. Nothing of that is verified; `None` if it is
    /// no list, or more bytes are needed: [`Self::HEAD`] are enough.
    pub fn announced(head: &[u8]) -> Option<CrlHeader> {
        let (issuer, length) = parse::announced(head).ok()?;
        Some(CrlHeader { issuer_name: sha256(issuer), length })
    }

    /// The lists in a file that has several (DER) one behind the other.
    ///
    /// At least one: what is no DER comes as it is, for [`RevocationList::verify`] to say so.
    pub fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(bytes);
        core::iter::from_fn(move || {
            let all = rest.take()?;
            let Ok(first) = DerElements::new(all).one(der::SEQUENCE) else { return Some(all) };
            rest = all.get(first.whole.len()..).filter(|rest| !rest.is_empty());
            Some(first.whole)
        })
    }

    /// Whether this list may take the place of `current`: of the same issuer, neither the number (when
    /// both have one) nor the time it was made is lower, and it is about the same certificates or about all.
    pub fn may_replace(&self, current: &Self) -> Result<(), CrlError> {
        if self.issuer != current.issuer {
            return Err(CrlError::OtherIssuer);
        }
        if let (Some(ours), Some(theirs)) = (self.number(), current.number())
            && (ours.len(), ours) < (theirs.len(), theirs)
        {
            return Err(CrlError::LowerNumber);
        }
        if self.this_update < current.this_update {
            let (current, offered) = (current.this_update, self.this_update);
            return Err(CrlError::Older { current, offered });
        }
        if self.scope != current.scope && !self.scope.is_complete() {
            let covers = self.scope.to_string();
            return Err(CrlError::OtherScope { covers });
        }
        Ok(())
    }

    /// How new it is.
    pub fn mark(&self) -> CrlMark {
        CrlMark::of(self.this_update, self.number())
    }

    /// Whether this list is as new as the newest of its issuer that was ever in force. One of the same
    /// second and number is, whatever it says: which of them came first, nobody can tell.
    pub fn reaches(&self, newest: &CrlMark) -> Result<(), CrlError> {
        let offered = self.mark();
        if offered.reaches(newest) {
            return Ok(());
        }
        Err(CrlError::BelowMark { offered, newest: *newest })
    }

    /// Whether this list has been made by `now`, give or take [`FUTURE_SLACK`].
    ///
    /// To be asked of lists that are new to us. One that was in force before is taken at start
    /// whatever the clock says, or a wrong clock at boot would lock everyone out beyond its
    /// correction.
    pub fn has_begun(&self, now: Timestamp) -> Result<(), CrlError> {
        if self.this_update <= now.after(FUTURE_SLACK) {
            return Ok(());
        }
        Err(CrlError::FromTheFuture { this_update: self.this_update, now })
    }

    /// Whose certificates it is about: the authority whose key has signed it.
    pub fn issuer(&self) -> &IssuerId {
        &self.issuer
    }

    /// As [`Issuer::name`].
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// Whether its issuer has this distinguished name (DER). Several authorities may have it.
    pub(crate) fn is_of(&self, issuer_dn: &[u8; 32]) -> bool {
        self.issuer_dn == *issuer_dn
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// By when the next one is promised.
    pub fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// The list's number, if it has one: big-endian, at most 20 bytes, without leading zeros.
    pub fn number(&self) -> Option<&[u8]> {
        self.number.as_deref()
    }

    /// Which certificates of its issuer it is about: it counts for no other.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether `other` says the same: when, until when, and who.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let head = |list: &Self| (list.issuer, list.this_update, list.next_update);
        let same_head = head(self) == head(other) && self.scope == other.scope;
        same_head && self.number == other.number && self.serials == other.serials
    }

    /// How many certificates are revoked.
    pub fn len(&self) -> usize {
        self.serials.len()
    }

    /// Whether no certificate is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the certificate with this serial number (big-endian) is revoked.
    pub fn contains(&self, serial: &[u8]) -> bool {
        self.serials.contains(serial)
    }

    /// The revoked serial numbers, ascending, big-endian, without leading zeros.
    pub fn serials(&self) -> impl Iterator<Item = &[u8]> {
        self.serials.iter()
    }
}

/// Which authority signed it, as its key tells. There may be several of the same name, as after a change
/// of keys.
fn signer<'a>(outline: &Outline<'_>, trust_store: &'a TrustStore) -> Result<&'a Issuer, CrlError> {
    let name = sha256(outline.issuer);
    let (mut refused, mut forbidden) = (CrlError::UnknownIssuer, None);
    for issuer in trust_store.issuers().iter().filter(|issuer| issuer.id().name == name) {
        let name = || issuer.name().to_owned();
        match outline.signature.verify(issuer.public_key()?) {
            Ok(()) if issuer.signs_lists() => return Ok(issuer),
            Ok(()) => forbidden = Some(CrlError::IssuerMayNotSign { issuer: name() }),
            Err(NotSigned::Unsupported) => refused = CrlError::UnsupportedSignature,
            Err(NotSigned::Wrong) => refused = CrlError::BadSignature { issuer: name() },
        }
    }
    Err(forbidden.unwrap_or(refused))
}
