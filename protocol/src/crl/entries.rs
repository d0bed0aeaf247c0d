//! Reads the content of a CRL after its signature has been verified. A CRL that is neither complete for its
//! issuer nor complete for one distribution point is refused with its own error.

use core::fmt;

use sknock_types::{Serial, hex};
use x509_parser::asn1_rs::Oid;

use super::error::CrlError;
use super::scope::Scope;
use crate::der::{self, DerElement, DerElements, NotDer, without_leading_zeros};

/// The CRL's number, if `extensions` contains one, and the certificates that it covers.
pub(super) fn number_and_scope(extensions: &[u8]) -> Result<(Option<Vec<u8>>, Scope), CrlError> {
    let (mut number, mut scope) = (None, None);
    for extension in Extensions(DerElements::new(extensions)) {
        let extension = extension?;
        match extension.oid {
            oid::CRL_NUMBER if number.is_some() => {
                return Err(CrlError::Malformed("it has two CRL numbers"));
            }
            oid::CRL_NUMBER => number = Some(crl_number(extension.value)?),
            oid::DELTA_CRL_INDICATOR => return Err(CrlError::Delta),
            oid::ISSUING_DISTRIBUTION_POINT if scope.is_some() => {
                return Err(CrlError::Malformed("it has two issuingDistributionPoints"));
            }
            oid::ISSUING_DISTRIBUTION_POINT => scope = Some(Scope::of(extension.value)?),
            // Not used: the signature tells by which key it was made. The CA chooses this field.
            oid::AUTHORITY_KEY_IDENTIFIER => {}
            _ => extension.may_be_ignored()?,
        }
    }
    Ok((number, scope.unwrap_or_default()))
}

/// The serial numbers of all `entries`, whatever their reason: a certificate on hold is refused like any
/// revoked one.
pub(super) fn serials(entries: &[u8]) -> Result<Serials, CrlError> {
    let entries = || Entries(DerElements::new(entries));
    // Counted first: a vector that grows takes up to twice the memory.
    let mut serials = Serials::with_room(entries().count());
    for entry in entries() {
        serials.add(serial(entry?.content)?)?;
    }
    serials.sort();
    Ok(serials)
}

/// `Entry ::= SEQUENCE { serial INTEGER, revoked Time, extensions SEQUENCE OPTIONAL }`
fn serial(entry: &[u8]) -> Result<&[u8], CrlError> {
    let mut fields = DerElements::new(entry);
    let serial = fields.one(der::INTEGER).map_err(|_| BAD_ENTRY)?;
    let revoked = fields.any().map_err(|_| BAD_ENTRY)?;
    // Only its kind is checked: an entry means revoked, whatever its date.
    if !matches!(revoked.tag, der::UTC_TIME | der::GENERALIZED_TIME) {
        return Err(BAD_ENTRY);
    }
    if let Some(extensions) = fields.optional(der::SEQUENCE).map_err(|_| BAD_ENTRY)? {
        for extension in Extensions(DerElements::new(extensions.content)) {
            let extension = extension?;
            match extension.oid {
                oid::REASON_CODE => match der::only(extension.value, der::ENUMERATED) {
                    // removeFromCRL (RFC 5280, 5.3.1).
                    Ok([8]) => return Err(CrlError::RemoveFromCrl),
                    Ok(_) => {}
                    Err(NotDer) => return Err(BAD_ENTRY),
                },
                oid::CERTIFICATE_ISSUER => return Err(CrlError::Indirect),
                // Also if critical: neither makes a certificate less revoked.
                oid::INVALIDITY_DATE | oid::HOLD_INSTRUCTION_CODE => {}
                _ => extension.may_be_ignored()?,
            }
        }
    }
    fields.end().map_err(|_| BAD_ENTRY)?;
    Ok(serial.content)
}

const BAD_ENTRY: CrlError = CrlError::Malformed("an entry does not conform to RFC 5280");

/// A number of 1..=20 bytes (RFC 5280, 5.2.3), without leading zeros.
fn crl_number(value: &[u8]) -> Result<Vec<u8>, CrlError> {
    let number = der::only(value, der::INTEGER).unwrap_or_default();
    let positive = number.first().is_some_and(|first| *first < 0x80);
    let number = without_leading_zeros(number);
    if positive && number.len() <= 20 {
        return Ok(number.to_vec());
    }
    Err(CrlError::Malformed("its crlNumber is negative or has more than 20 bytes"))
}

/// Iterates over the entries; an error is the last item.
struct Entries<'a>(DerElements<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<DerElement<'a>, CrlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_at_end() {
            return None;
        }
        Some(self.0.one(der::SEQUENCE).map_err(|_| {
            self.0 = DerElements::new(&[]);
            BAD_ENTRY
        }))
    }
}

/// `Extension ::= SEQUENCE { oid OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, value OCTET STRING }`
struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn read(content: &'a [u8]) -> Result<Self, NotDer> {
        let mut fields = DerElements::new(content);
        let oid = fields.one(der::OBJECT_IDENTIFIER)?.content;
        // An encoded FALSE is not DER, but harmless, and real CAs emit it.
        let critical = match fields.optional(der::BOOLEAN)?.map(|critical| critical.content) {
            None | Some([0]) => false,
            Some([0xff]) => true,
            Some(_) => return Err(NotDer),
        };
        let value = fields.one(der::OCTET_STRING)?.content;
        fields.end()?;
        Ok(Self { oid, critical, value })
    }

    fn may_be_ignored(&self) -> Result<(), CrlError> {
        if !self.critical {
            return Ok(());
        }
        Err(CrlError::UnknownCritical { oid: Oid::new(self.oid.into()).to_string() })
    }
}

/// Iterates over the extensions; an error is the last item.
struct Extensions<'a>(DerElements<'a>);

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, CrlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_at_end() {
            return None;
        }
        let extension =
            self.0.one(der::SEQUENCE).and_then(|extension| Extension::read(extension.content));
        Some(extension.map_err(|NotDer| {
            self.0 = DerElements::new(&[]);
            CrlError::Malformed("an extension does not conform to RFC 5280")
        }))
    }
}

/// Object identifiers under 2.5.29, DER (RFC 5280, 5.2 and 5.3).
mod oid {
    pub(super) const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
    pub(super) const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
    pub(super) const HOLD_INSTRUCTION_CODE: &[u8] = &[0x55, 0x1d, 23];
    pub(super) const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
    pub(super) const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
    pub(super) const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
    pub(super) const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
    pub(super) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
}

/// A set of serial numbers in little memory: 20 bytes each, sorted. A million take 20 MB. Each is right-aligned:
/// leading zeros mean nothing.
#[derive(Eq, PartialEq)]
pub(super) struct Serials(Vec<[u8; Serial::MAX_LEN]>);

impl Serials {
    pub(super) fn with_room(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(super) fn add(&mut self, serial: &[u8]) -> Result<(), CrlError> {
        let too_long = || CrlError::SerialTooLong { serial: beginning(serial) };
        self.0.push(aligned(serial).ok_or_else(too_long)?);
        Ok(())
    }

    /// Must be called before lookups: `contains` is a binary search.
    pub(super) fn sort(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// Whether `serial`, with or without leading zeros, was added.
    pub(super) fn contains(&self, serial: &[u8]) -> bool {
        aligned(serial).is_some_and(|serial| self.0.binary_search(&serial).is_ok())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All, ascending, without leading zeros.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|serial| without_leading_zeros(serial))
    }
}

impl fmt::Debug for Serials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} serials", self.len())
    }
}

/// In hexadecimal digits.
fn beginning(serial: &[u8]) -> String {
    const MOST: usize = 32;
    let dots = if serial.len() > MOST { "..." } else { "" };
    hex(serial.get(..MOST).unwrap_or(serial)) + dots
}

fn aligned(serial: &[u8]) -> Option<[u8; Serial::MAX_LEN]> {
    let serial = without_leading_zeros(serial);
    let mut aligned = [0; Serial::MAX_LEN];
    let room = aligned.get_mut(Serial::MAX_LEN.checked_sub(serial.len())?..)?;
    room.copy_from_slice(serial);
    Some(aligned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_mean_nothing() {
        let mut serials = Serials::with_room(3);
        for serial in [&[2][..], &[0, 0xf1, 0xa2], &[0], &[2], &[0xff; 20]] {
            serials.add(serial).unwrap();
        }
        serials.sort();
        let all: Vec<_> = serials.iter().collect();
        assert_eq!(all, [&[][..], &[2], &[0xf1, 0xa2], &[0xff; 20]]);
        for serial in [&[2][..], &[0, 0, 2], &[0xf1, 0xa2], &[], &[0, 0], &[0xff; 20]] {
            assert!(serials.contains(serial), "{serial:02x?}");
        }
        for serial in [&[1][..], &[2, 0], &[0xf1], &[0xff; 19], &[0xff; 21]] {
            assert!(!serials.contains(serial), "{serial:02x?}");
        }
        let serial = "01".repeat(21);
        assert_eq!(serials.add(&[1; 21]), Err(CrlError::SerialTooLong { serial }));
        let serial = "01".repeat(32) + "...";
        assert_eq!(serials.add(&[1; 33]), Err(CrlError::SerialTooLong { serial }));
    }
}
