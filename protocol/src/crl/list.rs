//! One verified CRL.

use std::time::Duration;

use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

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

/// How far a CA's clock may be ahead of ours.
///
/// Small, because a CRL dated in the future could not be replaced by a correct one before that date.
pub const FUTURE_SLACK: Duration = Duration::from_secs(5 * 60);

/// The unverified fields at the beginning of a CRL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CrlHeader {
    /// SHA-256 of the issuer's distinguished name (DER). If several authorities have this name, only
    /// [`RevocationList::signer`] identifies the issuer.
    pub issuer_name: [u8; 32],
    /// Size of the whole CRL in bytes.
    pub length: usize,
}

/// The certificates that one issuer revoked, signed by it: complete within its [`Scope`].
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
    /// The number of bytes of a CRL that [`RevocationList::announced`] may need. They include the issuer's
    /// name, usually a few hundred bytes.
    pub const HEAD: usize = 16 << 10;

    /// Verifies a CRL (DER) signed by one of the authorities; does not check its dates.
    ///
    /// Uses 20 bytes of memory for each entry, and none for a CRL with a bad signature. The caller limits the
    /// size before reading; the format's limit is 4 GiB.
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

    /// The authority that signed a CRL (DER), without reading its content.
    pub fn signer(list: &[u8], trust_store: &TrustStore) -> Result<IssuerId, CrlError> {
        Ok(*signer(&Outline::of(list)?, trust_store)?.id())
    }

    /// The header in the first bytes of a CRL (DER). Nothing of it is verified. `None` if it is no CRL or
    /// more bytes are needed: [`Self::HEAD`] are enough.
    pub fn announced(head: &[u8]) -> Option<CrlHeader> {
        let (issuer, length) = parse::announced(head).ok()?;
        Some(CrlHeader { issuer_name: sha256(issuer), length })
    }

    /// Splits a file of concatenated CRLs (DER).
    ///
    /// Yields at least one item: bytes that are not DER are yielded unchanged, so that
    /// [`RevocationList::verify`] reports them.
    pub fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(bytes);
        core::iter::from_fn(move || {
            let all = rest.take()?;
            let Ok(first) = DerElements::new(all).one(der::SEQUENCE) else { return Some(all) };
            rest = all.get(first.whole.len()..).filter(|rest| !rest.is_empty());
            Some(first.whole)
        })
    }

    /// Whether this CRL may replace `current`: it has the same issuer, neither its number (when both have
    /// one) nor its date is lower, and it covers the same certificates or all.
    pub fn may_replace(&self, current: &Self) -> Result<(), CrlError> {
        if self.issuer != current.issuer {
            return Err(CrlError::OtherIssuer);
        }
        if let (Some(ours), Some(theirs)) = (self.number(), current.number())
            // Both are without leading zeros: the longer one is larger.
            && (ours.len(), ours) < (theirs.len(), theirs)
        {
            return Err(CrlError::LowerNumber);
        }
        if self.this_update < current.this_update {
            let (current, offered) = (current.this_update, self.this_update);
            return Err(CrlError::Older { current, offered });
        }
        // The CRL of another shard lacks the revocations of this one (THREATS, CRL web server).
        if self.scope != current.scope && !self.scope.is_complete() {
            let covers = self.scope.to_string();
            return Err(CrlError::OtherScope { covers });
        }
        Ok(())
    }

    /// Its date and number.
    pub fn mark(&self) -> CrlMark {
        CrlMark::of(self.this_update, self.number())
    }

    /// Whether this CRL is as new as the newest of its issuer that was ever in force. A CRL of the same
    /// second and number is accepted whatever its content: their order is unknown.
    pub fn reaches(&self, newest: &CrlMark) -> Result<(), CrlError> {
        let offered = self.mark();
        if offered.reaches(newest) {
            return Ok(());
        }
        Err(CrlError::BelowMark { offered, newest: *newest })
    }

    /// Whether thisUpdate is not after `now` plus [`FUTURE_SLACK`].
    ///
    /// Applies to new CRLs only. A CRL that was in force before is used at start whatever the clock reads;
    /// else a wrong clock at boot would lock out all clients until its correction.
    pub fn has_begun(&self, now: Timestamp) -> Result<(), CrlError> {
        if self.this_update <= now.after(FUTURE_SLACK) {
            return Ok(());
        }
        Err(CrlError::FromTheFuture { this_update: self.this_update, now })
    }

    /// The authority whose key signed it.
    pub fn issuer(&self) -> &IssuerId {
        &self.issuer
    }

    /// Same as [`Issuer::name`].
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// Whether its issuer has this distinguished name (DER). Several authorities may have it.
    pub(crate) fn is_of(&self, issuer_dn: &[u8; 32]) -> bool {
        self.issuer_dn == *issuer_dn
    }

    /// The date of the CRL.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// The date by which the next CRL is promised.
    pub fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// The list's number, if it has one: big-endian, at most 20 bytes, without leading zeros.
    pub fn number(&self) -> Option<&[u8]> {
        self.number.as_deref()
    }

    /// The certificates of its issuer that it covers; it applies to no other.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether `other` has the same dates and the same entries.
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

/// The authority that signed it, identified by its key. Several may have the same name, for example after a
/// change of keys.
fn signer<'a>(outline: &Outline<'_>, trust_store: &'a TrustStore) -> Result<&'a Issuer, CrlError> {
    let name = sha256(outline.issuer);
    let unknown = || CrlError::UnknownIssuer { issuer: claimed_name(outline.issuer) };
    let (mut refused, mut forbidden) = (None, None);
    for issuer in trust_store.issuers().iter().filter(|issuer| issuer.id().name == name) {
        let name = || issuer.name().to_owned();
        match outline.signature.verify(issuer.public_key()?) {
            Ok(()) if issuer.signs_lists() => return Ok(issuer),
            Ok(()) => forbidden = Some(CrlError::IssuerMayNotSign { issuer: name() }),
            Err(NotSigned::Unsupported) => refused = Some(CrlError::UnsupportedSignature),
            Err(NotSigned::Wrong) => refused = Some(CrlError::BadSignature { issuer: name() }),
        }
    }
    // An authority whose key fits tells more than another of its name whose key does not.
    Err(forbidden.or(refused).unwrap_or_else(unknown))
}

/// A name (DER) that nobody has signed: it may be as long as a CRL.
fn claimed_name(name: &[u8]) -> String {
    let named = X509Name::from_der(name).map(|(_, name)| name.to_string());
    named.map_or_else(
        |_| "which has no readable name".into(),
        |name| name.chars().take(200).collect(),
    )
}
