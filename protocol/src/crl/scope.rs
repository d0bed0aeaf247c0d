//! Which certificates of its issuer a list is about (RFC 5280, 5.2.5), and whether one is among them
//! (6.3.3, b 2).
//!
//! A list with the address of a distribution point may be one of several that together are complete. So it
//! counts for certificates only that name the same point, and for nobody else.

use core::fmt;

use super::CrlError;
use crate::der::{self, CONTEXT_0, DerElement, DerElements, NotDer};
use crate::sha256::sha256;
use crate::{CertificateId, Timestamp};

/// Names of points that are read of one list or one certificate. A list with more is refused; of a certificate
/// further ones do not count.
const MOST: usize = 16;

/// `[4]`, constructed: a `GeneralName` that is a distinguished name.
const DIRECTORY_NAME: u8 = 0xa4;
/// `[6]`, primitive: a `GeneralName` that is a URI.
const URI: u8 = 0x86;

/// SHA-256 of a `GeneralName` (DER) of a distribution point. Compared as it is written: a URI in another
/// spelling is another name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PointName([u8; 32]);

/// A certificate of a path, as far as it decides which list is about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PathCertificate {
    pub(crate) id: CertificateId,
    pub(crate) is_authority: bool,
    pub(crate) points: Vec<PointName>,
}

/// A way from a client certificate to an anchor, as far as revocation is concerned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TrustPath {
    /// Every certificate but the anchor, the client's first.
    pub(crate) certificates: Vec<PathCertificate>,
    /// The end of the one that ends first.
    pub(crate) not_after: Timestamp,
}

/// Which certificates of its issuer a list is about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scope {
    /// Empty: wherever they say that their list is.
    points: Vec<PointName>,
    /// Those of `points` that are URIs, for people.
    uris: Vec<String>,
    users_only: bool,
}

impl Scope {
    /// Whether it is about all certificates of its issuer.
    pub fn is_complete(&self) -> bool {
        self.points.is_empty() && !self.users_only
    }

    /// Whether a certificate of the list's issuer is among those that the list is about.
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
            if self.points.len() == MOST {
                return Err(CrlError::Malformed("it has more than 16 distribution point names"));
            }
            self.points.push(PointName::of(name.whole));
            if name.tag == URI {
                self.uris.push(String::from_utf8_lossy(name.content).into_owned());
            }
        }
        // Without any name it would be about everybody.
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

impl PointName {
    fn of(general_name: &[u8]) -> Self {
        Self(sha256(general_name))
    }

    /// Where the lists are that are about a certificate of this issuer (its name, DER): at the points that
    /// its extension cRLDistributionPoints names, and at its issuer's name (6.3.3, at the end). Of an
    /// extension that is not as it should be nothing counts.
    pub(crate) fn all(issuer: &[u8], extension: Option<&[u8]>) -> Vec<Self> {
        let named = extension.and_then(|extension| named(extension).ok()).unwrap_or_default();
        let issuer = Self::of(&der::encode(DIRECTORY_NAME, &[issuer]));
        named.into_iter().take(MOST).chain([issuer]).collect()
    }
}

/// `CRLDistributionPoints ::= SEQUENCE OF SEQUENCE { distributionPoint [0], reasons [1], cRLIssuer [2] }`, each
/// optional. A point for some reasons, or with another's list, is none for us: such lists are refused.
fn named(extension: &[u8]) -> Result<Vec<PointName>, NotDer> {
    let mut found = Vec::new();
    let mut points = DerElements::new(der::only(extension, der::SEQUENCE)?);
    while !points.is_at_end() {
        let mut fields = DerElements::new(points.one(der::SEQUENCE)?.content);
        let point = fields.optional(CONTEXT_0)?;
        let is_ours = fields.is_at_end();
        while !fields.is_at_end() {
            fields.any()?;
        }
        let Some(point) = point.filter(|_| is_ours) else { continue };
        let Some(names) = full_name(point.content)? else { continue };
        for name in GeneralNames(names) {
            found.push(PointName::of(name?.whole));
        }
    }
    Ok(found)
}

/// `DistributionPointName ::= CHOICE { fullName [0] GeneralNames, nameRelativeToCRLIssuer [1] }`: the former.
fn full_name(point: &[u8]) -> Result<Option<DerElements<'_>>, NotDer> {
    let mut choice = DerElements::new(point);
    let name = choice.any()?;
    choice.end()?;
    Ok((name.tag == CONTEXT_0).then(|| DerElements::new(name.content)))
}

/// A BOOLEAN with this tag. A written-out FALSE is no DER, but harmless.
fn flag(fields: &mut DerElements<'_>, tag: u8) -> Result<bool, CrlError> {
    match fields.optional(tag).map_err(|_| BAD)?.map(|flag| flag.content) {
        None | Some([0]) => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(BAD),
    }
}

/// One name after the other; an error is the last item.
struct GeneralNames<'a>(DerElements<'a>);

impl<'a> Iterator for GeneralNames<'a> {
    type Item = Result<DerElement<'a>, NotDer>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_at_end() {
            return None;
        }
        Some(self.0.any().inspect_err(|NotDer| self.0 = DerElements::new(&[])))
    }
}
