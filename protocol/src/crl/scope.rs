//! The certificates of its issuer that a CRL covers (RFC 5280, 5.2.5), and whether one is among them (6.3.3,
//! b 2).
//!
//! A CRL with the address of a distribution point may be one of several that together are complete. So it
//! applies only to certificates that name the same point.

use core::fmt;

use super::error::CrlError;
use crate::der::{self, CONTEXT_0, DerElements};
use crate::trust::{GeneralNames, MAX_POINTS, PointName, full_name};

/// `[6]`, primitive: a `GeneralName` that is a URI.
const URI: u8 = 0x86;

/// The certificates of its issuer that a CRL covers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scope {
    /// Empty: the CRL covers certificates with any distribution point.
    points: Vec<PointName>,
    /// The URIs in `points`, for messages.
    uris: Vec<String>,
    users_only: bool,
}

impl Scope {
    /// Whether it is about all certificates of its issuer.
    pub fn is_complete(&self) -> bool {
        self.points.is_empty() && !self.users_only
    }

    /// Whether the CRL covers a certificate of its issuer with these properties.
    pub(super) fn covers(&self, is_authority: bool, points: &[PointName]) -> bool {
        let by_kind = !(self.users_only && is_authority);
        let by_point =
            self.points.is_empty() || self.points.iter().any(|point| points.contains(point));
        by_kind && by_point
    }

    /// Reads `IssuingDistributionPoint ::= SEQUENCE { distributionPoint [0], onlyContainsUserCerts [1],
    /// onlyContainsCACerts [2], onlySomeReasons [3], indirectCRL [4], onlyContainsAttributeCerts [5] }`, each
    /// optional. Refuses every part that no certificate here may rely on.
    pub(super) fn of(extension: &[u8]) -> Result<Self, CrlError> {
        let fields = der::only(extension, der::SEQUENCE).map_err(|_| BAD)?;
        // RFC 5280, 5.2.5: no CA may issue an empty one.
        if fields.is_empty() {
            return Err(CrlError::Malformed("its issuingDistributionPoint is empty"));
        }
        let mut fields = DerElements::new(fields);
        let mut scope = Self::default();
        if let Some(point) = fields.optional(CONTEXT_0).map_err(|_| BAD)? {
            scope.at(point.content)?;
        }
        scope.users_only = flag(&mut fields, 0x81)?;
        if flag(&mut fields, 0x82)? {
            return Err(CrlError::Partial { field: "onlyContainsCACerts" });
        }
        if fields.optional(0x83).map_err(|_| BAD)?.is_some() {
            return Err(CrlError::Partial { field: "onlySomeReasons" });
        }
        if flag(&mut fields, 0x84)? {
            return Err(CrlError::Indirect);
        }
        if flag(&mut fields, 0x85)? {
            return Err(CrlError::Partial { field: "onlyContainsAttributeCerts" });
        }
        fields.end().map_err(|_| BAD)?;
        Ok(scope)
    }

    fn at(&mut self, point: &[u8]) -> Result<(), CrlError> {
        let names = full_name(point).map_err(|_| BAD)?;
        let names = names.ok_or(CrlError::Partial { field: "nameRelativeToCRLIssuer" })?;
        for name in GeneralNames(names) {
            let name = name.map_err(|_| BAD)?;
            if self.points.len() == MAX_POINTS {
                return Err(CrlError::Malformed("it has more than 16 distribution point names"));
            }
            self.points.push(PointName::of(name.whole));
            if name.tag == URI {
                self.uris.push(String::from_utf8_lossy(name.content).into_owned());
            }
        }
        // A CRL without any name would cover all certificates.
        if self.points.is_empty() { Err(BAD) } else { Ok(()) }
    }
}

const BAD: CrlError = CrlError::Malformed(
    "its issuingDistributionPoint does not conform to RFC \
                                           5280",
);

/// `certificates that name http://ca.example/crl in cRLDistributionPoints, but no CA certificates`
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("certificates")?;
        if !self.points.is_empty() {
            f.write_str(" that name ")?;
            for (place, uri) in self.uris.iter().enumerate() {
                let comma = if place > 0 { " or " } else { "" };
                write!(f, "{comma}{}", uri.escape_default())?;
            }
            if self.uris.is_empty() {
                f.write_str("the distribution point of the CRL")?;
            }
            f.write_str(" in cRLDistributionPoints")?;
        }
        if self.users_only { f.write_str(", but no CA certificates") } else { Ok(()) }
    }
}

/// A BOOLEAN with this tag. An encoded FALSE is not DER, but harmless.
fn flag(fields: &mut DerElements<'_>, tag: u8) -> Result<bool, CrlError> {
    match fields.optional(tag).map_err(|_| BAD)?.map(|flag| flag.content) {
        None | Some([0]) => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(BAD),
    }
}
