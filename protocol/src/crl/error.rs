//! Why a revocation list is not taken, and what to do about it.

use crate::{CrlMark, Timestamp};

/// The reason a revocation list was refused. Whatever was in force before stays in force.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// No bytes at all.
    #[error("it is empty; the CA's export or the web server is broken")]
    Empty,
    /// PEM where DER belongs.
    #[error("it is PEM; publish it as DER: openssl crl -outform der")]
    Pem,
    /// Something else, or a torn list.
    #[error("it is no certificate revocation list in DER, or only a part of one")]
    NotACrl,
    /// The format of 1988, without extensions.
    #[error(
        "it is in the old v1 format, without extensions; give openssl ca a crlnumber file and \
         crl_extensions = ... with authorityKeyIdentifier=keyid, then make it anew (-gencrl)"
    )]
    Version1,
    /// It does not say when the next one comes.
    #[error("it has no nextUpdate, so it would never grow old; set default_crl_days at the CA")]
    NoNextUpdate,
    /// None of the authorities that are used has the issuer's name.
    #[error(
        "its issuer is none of the CAs that the server uses; check the URL, or add that CA to caFile"
    )]
    UnknownIssuer,
    /// An authority that must not sign lists.
    #[error("its issuer may not sign it: keyUsage of {issuer} lacks cRLSign; reissue that CA")]
    IssuerMayNotSign {
        /// The distinguished name.
        issuer: String,
    },
    /// Signed in a way that is not accepted.
    #[error("it is signed with an algorithm not accepted here (SHA-1?); sign it with SHA-256")]
    UnsupportedSignature,
    /// Forged or damaged.
    #[error("its signature is not by {issuer}: it is forged or damaged")]
    BadSignature {
        /// Who it pretends to be by.
        issuer: String,
    },
    /// Only the changes since another list.
    #[error("it is a delta CRL; publish the complete one")]
    Delta,
    /// Covers only some certificates or reasons.
    #[error(
        "it covers only a part: its issuingDistributionPoint has {field}; publish a complete CRL without \
         that"
    )]
    Partial {
        /// As RFC 5280, 5.2.5 calls it.
        field: &'static str,
    },
    /// Covers others than the list it should replace.
    #[error(
        "it covers others than the list in force: {covers}. One list of each CA is in force here: publish \
         one for all, or leave one of the addresses out. If the CA has moved its list: it is taken once the \
         one in force has ended, or put it into crlFile and reload"
    )]
    OtherScope {
        /// Whom the refused one covers.
        covers: String,
    },
    /// Names certificates of other issuers.
    #[error("it is an indirect CRL (indirectCRL, certificateIssuer); each CA must publish its own")]
    Indirect,
    /// An extension that must be understood and is not.
    #[error("it has an unknown critical extension {oid}; publish it without")]
    UnknownCritical {
        /// Its object identifier, in dots.
        oid: String,
    },
    /// An entry that takes another back.
    #[error("it has an entry with reason removeFromCRL, which belongs in delta CRLs only")]
    RemoveFromCrl,
    /// A serial number beyond the standard.
    #[error("it has a serial number of more than 20 bytes, against RFC 5280; reissue that one")]
    SerialTooLong,
    /// Signed, but not well-formed.
    #[error("it is signed but malformed: {0}; the CA's software is broken")]
    Malformed(&'static str),
    /// About another issuer's certificates than the list it should replace.
    #[error("it has another issuer than the list it would replace")]
    OtherIssuer,
    /// An older list again.
    #[error("its number is lower than that of the list in force; somebody offers an old list")]
    LowerNumber,
    /// An older list again.
    #[error(
        "it was made {} s before the list in force; somebody offers an old list",
        current.since(*offered).as_secs()
    )]
    Older {
        /// thisUpdate of the list in force.
        current: Timestamp,
        /// thisUpdate of the one refused.
        offered: Timestamp,
    },
    /// Older than one that was in force earlier, perhaps in another process.
    #[error(
        "it is older than one that was in force here: {offered} after {newest}; somebody offers an \
         old list. If its authority means it, let it make a new one"
    )]
    BelowMark {
        /// Of the one refused.
        offered: CrlMark,
        /// Of the newest that was ever in force.
        newest: CrlMark,
    },
    /// Made after now.
    #[error(
        "it was made {} s from now; check the clocks of this server and of the CA",
        this_update.since(*now).as_secs()
    )]
    FromTheFuture {
        /// When it says it was made.
        this_update: Timestamp,
        /// Our clock.
        now: Timestamp,
    },
}
