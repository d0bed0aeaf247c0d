//! Reasons why a CRL is refused, each with a remedy.

use super::mark::CrlMark;
use crate::timestamp::Timestamp;

/// The reason a CRL was refused. The CRL in force before stays in force.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// The file is empty.
    #[error("it is empty. Check the export of the CA and the web server")]
    Empty,
    /// PEM instead of DER.
    #[error("it is PEM. Publish it as DER: openssl crl -outform der")]
    Pem,
    /// Another format, or a truncated CRL.
    #[error("it is not a CRL in DER, or is truncated")]
    NotACrl,
    /// X.509 CRL v1, which has no extensions.
    #[error(
        "it is in the old v1 format, without extensions. Give openssl ca a crlnumber file and \
         crl_extensions = ... with authorityKeyIdentifier=keyid, then create it again (-gencrl)"
    )]
    Version1,
    /// nextUpdate is missing.
    #[error("it has no nextUpdate, so it would never expire. Set default_crl_days at the CA")]
    NoNextUpdate,
    /// No configured authority has the issuer's name.
    #[error(
        "its issuer, {issuer}, is not a trusted CA of this server. Check the URL, or add that CA to caFile"
    )]
    UnknownIssuer {
        /// The issuer that it names, without proof. At most 200 characters.
        issuer: String,
    },
    /// The issuing CA must not sign CRLs.
    #[error(
        "its issuer must not sign it: keyUsage of {issuer} lacks cRLSign. Reissue that CA \
             certificate"
    )]
    IssuerMayNotSign {
        /// The distinguished name.
        issuer: String,
    },
    /// An unsupported signature algorithm.
    #[error("its signature algorithm is not accepted (SHA-1?). Sign it with SHA-256")]
    UnsupportedSignature,
    /// Forged or damaged.
    #[error("its signature is not from {issuer}: it is forged or damaged")]
    BadSignature {
        /// The issuer that it names.
        issuer: String,
    },
    /// Contains only the changes since another CRL.
    #[error("it is a delta CRL. Publish the complete CRL")]
    Delta,
    /// Covers only some certificates or reasons.
    #[error(
        "it covers only a part: its issuingDistributionPoint has {field}. Publish a complete CRL without \
         that"
    )]
    Partial {
        /// As RFC 5280, 5.2.5 calls it.
        field: &'static str,
    },
    /// Covers other certificates than the CRL that it would replace.
    #[error(
        "it covers other certificates than the CRL in force: {covers}. One CRL of each CA is in \
         force: publish one CRL for all certificates, or remove one of the URLs. If the CA moved \
         its CRL: it is accepted when the CRL in force has expired; or put it into crlFile and \
         reload"
    )]
    OtherScope {
        /// The certificates that the refused CRL covers.
        covers: String,
    },
    /// Names certificates of other issuers.
    #[error(
        "it is an indirect CRL (indirectCRL, certificateIssuer). Each CA must publish its \
             own CRL"
    )]
    Indirect,
    /// An unknown critical extension.
    #[error("it has an unknown critical extension {oid}. Publish it without that extension")]
    UnknownCritical {
        /// Its object identifier, in dots.
        oid: String,
    },
    /// An entry that withdraws another.
    #[error("it has an entry with reason removeFromCRL, which is only valid in delta CRLs")]
    RemoveFromCrl,
    /// A serial number longer than RFC 5280 allows.
    #[error(
        "it has the serial number {serial}, of more than 20 bytes, which RFC 5280 forbids, so none of \
             its entries is used. Remove that entry and reissue its certificate"
    )]
    SerialTooLong {
        /// Its first 32 bytes at most, in hexadecimal digits.
        serial: String,
    },
    /// Signed, but not well-formed.
    #[error("it is signed but malformed: {0}. The software of the CA is faulty")]
    Malformed(&'static str),
    /// From another issuer than the CRL that it would replace.
    #[error("it has another issuer than the CRL that it would replace")]
    OtherIssuer,
    /// Lower number than that of the CRL in force.
    #[error(
        "its number is lower than that of the CRL in force. An outdated CRL is being served \
             (mirror, backup or attack)"
    )]
    LowerNumber,
    /// Older date than that of the CRL in force.
    #[error(
        "it was issued {} s before the CRL in force. An outdated CRL is being served (mirror, \
         backup or attack)",
        current.since(*offered).as_secs()
    )]
    Older {
        /// thisUpdate of the CRL in force.
        current: Timestamp,
        /// thisUpdate of the refused CRL.
        offered: Timestamp,
    },
    /// Older than a CRL that was in force earlier, perhaps in another process.
    #[error(
        "it is older than one that was in force here: {offered} after {newest}. An outdated \
         CRL is being served (mirror, backup or attack). If this CRL is intended, let the CA \
         issue a newer one"
    )]
    BelowMark {
        /// The mark of the refused CRL.
        offered: CrlMark,
        /// The mark of the newest CRL that was ever in force.
        newest: CrlMark,
    },
    /// Dated in the future.
    #[error(
        "it is dated {} s in the future. Check the clocks of this server and of the CA",
        this_update.since(*now).as_secs()
    )]
    FromTheFuture {
        /// The CRL's thisUpdate.
        this_update: Timestamp,
        /// The server's clock.
        now: Timestamp,
    },
}
