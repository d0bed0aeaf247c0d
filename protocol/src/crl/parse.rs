//! The structure of a CRL (RFC 5280, 5.1), parsed before its signature is verified.

use x509_parser::asn1_rs::FromDer;
use x509_parser::time::ASN1Time;

use super::error::CrlError;
use crate::der::{self, DerElements, NotDer};
use crate::timestamp::Timestamp;
use crate::trust::IssuerSignature;

/// The unverified fields of a CRL.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    pub(super) signature: IssuerSignature<'a>,
    /// The issuer's name, DER.
    pub(super) issuer: &'a [u8],
    pub(super) this_update: Timestamp,
    pub(super) next_update: Timestamp,
    /// Concatenated entries.
    pub(super) entries: &'a [u8],
    /// Concatenated extensions.
    pub(super) extensions: &'a [u8],
}

impl<'a> Outline<'a> {
    pub(super) fn of(list: &'a [u8]) -> Result<Self, CrlError> {
        if list.is_empty() {
            return Err(CrlError::Empty);
        }
        if list.starts_with(b"-----BEGIN ") {
            return Err(CrlError::Pem);
        }
        let signature = IssuerSignature::of(list)?;
        let mut fields = DerElements::new(der::only(signature.signed, der::SEQUENCE)?);
        let version = fields.optional(der::INTEGER)?.map(|version| version.content);
        // v1 leaves the version out, v2 is encoded as 1 (RFC 5280, 5.1.2.1).
        if version.is_none() && fields.optional(der::SEQUENCE)?.is_some() {
            return Err(CrlError::Version1);
        }
        if version != Some(&[1]) {
            return Err(CrlError::NotACrl);
        }
        // RFC 5280, 5.1.1.2: both must be equal, for the outer one is not signed.
        if fields.one(der::SEQUENCE)?.content != signature.algorithm() {
            return Err(CrlError::NotACrl);
        }
        let issuer = fields.one(der::SEQUENCE)?;
        let this_update = time(&mut fields)?.ok_or(CrlError::NotACrl)?;
        let next_update = time(&mut fields)?.ok_or(CrlError::NoNextUpdate)?;
        let entries = fields.optional(der::SEQUENCE)?.map_or(&[][..], |entries| entries.content);
        let extensions = match fields.optional(der::CONTEXT_0)? {
            Some(tagged) => der::only(tagged.content, der::SEQUENCE)?,
            None => &[],
        };
        fields.end()?;
        Ok(Self { signature, issuer: issuer.whole, this_update, next_update, entries, extensions })
    }
}

/// The issuer's name (DER) and the total length of the CRL that `head` begins.
pub(super) fn announced(head: &[u8]) -> Result<(&[u8], usize), NotDer> {
    let (length, content) = der::enter(head, der::SEQUENCE)?;
    let (_, fields) = der::enter(content, der::SEQUENCE)?;
    let mut fields = DerElements::new(fields);
    fields.one(der::INTEGER)?;
    fields.one(der::SEQUENCE)?;
    let issuer = fields.one(der::SEQUENCE)?;
    // The bytes of the outermost header, and the length that it states.
    Ok((issuer.whole, head.len() - content.len() + length))
}

/// A time, if one comes next.
fn time(fields: &mut DerElements<'_>) -> Result<Option<Timestamp>, CrlError> {
    let time = match fields.optional(der::UTC_TIME)? {
        Some(time) => Some(time),
        None => fields.optional(der::GENERALIZED_TIME)?,
    };
    let Some(time) = time else { return Ok(None) };
    let (_, time) = ASN1Time::from_der(time.whole).map_err(|_| CrlError::NotACrl)?;
    let seconds = u64::try_from(time.timestamp()).map_err(|_| CrlError::NotACrl)?;
    Ok(Some(Timestamp::from_secs(seconds)))
}

/// Before the signature is verified, every unexpected structure is reported as "not a CRL".
impl From<NotDer> for CrlError {
    fn from(_: NotDer) -> Self {
        Self::NotACrl
    }
}
