//! The distribution points of CRLs that cover a certificate (RFC 5280, 4.2.1.13), and the paths whose
//! certificates are looked up in them.

use crate::crypto::sha256;
use crate::der::{self, CONTEXT_0, DerElement, DerElements, NotDer};
use crate::subject::CertificateId;
use crate::timestamp::Timestamp;

/// Names of points that are read of one list or one certificate. A list with more is refused; of a certificate
/// further ones do not count.
pub(crate) const MAX_POINTS: usize = 16;

/// `[4]`, constructed: a `GeneralName` that is a distinguished name.
pub(super) const DIRECTORY_NAME: u8 = 0xa4;

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

impl PointName {
    pub(crate) fn of(general_name: &[u8]) -> Self {
        Self(sha256(general_name))
    }

    /// The distribution points for a certificate of this issuer (its name, DER): those in its extension
    /// cRLDistributionPoints, and its issuer's name (6.3.3, at the end). A malformed extension is ignored as
    /// a whole.
    pub(crate) fn all(issuer: &[u8], extension: Option<&[u8]>) -> Vec<Self> {
        let named = extension.and_then(|extension| named(extension).ok()).unwrap_or_default();
        let issuer = Self::of(&der::encode(DIRECTORY_NAME, &[issuer]));
        named.into_iter().take(MAX_POINTS).chain([issuer]).collect()
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
            // Read all the same: one malformed point voids the whole extension.
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
pub(crate) fn full_name(point: &[u8]) -> Result<Option<DerElements<'_>>, NotDer> {
    let mut choice = DerElements::new(point);
    let name = choice.any()?;
    choice.end()?;
    Ok((name.tag == CONTEXT_0).then(|| DerElements::new(name.content)))
}

/// One name after the other; an error is the last item.
pub(crate) struct GeneralNames<'a>(pub(crate) DerElements<'a>);

impl<'a> Iterator for GeneralNames<'a> {
    type Item = Result<DerElement<'a>, NotDer>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_at_end() {
            return None;
        }
        Some(self.0.any().inspect_err(|NotDer| self.0 = DerElements::new(&[])))
    }
}
