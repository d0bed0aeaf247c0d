//! What a certificate must be for: the extended key usage.

use webpki::{Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};
use x509_parser::prelude::X509Certificate;

use crate::Refusal;

/// What a client's certificate must be for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Usage {
    /// Client authentication, spelled out in the certificate itself.
    ClientAuthentication,
    /// Whatever it is for: as the original sKnock has it.
    Any,
}

impl Usage {
    /// Whether a certificate that was found to be for `found` is for this.
    pub(super) fn is_met_by(self, found: Self) -> bool {
        self == Self::Any || found == Self::ClientAuthentication
    }

    /// The certificate itself must say what it is for; those above it mostly say nothing.
    pub(super) fn check_leaf(self, leaf: &X509Certificate<'_>) -> Result<(), Refusal> {
        if self == Self::Any {
            return Ok(());
        }
        let usage = leaf.extended_key_usage().map_err(|_| Refusal::BadCertificate)?;
        let fits = usage.is_some_and(|usage| usage.value.client_auth);
        if fits { Ok(()) } else { Err(Refusal::NotAClientCertificate) }
    }
}

/// For every certificate of a path.
impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        match self {
            Self::ClientAuthentication => KeyUsage::client_auth().validate(purposes),
            Self::Any => Ok(()),
        }
    }
}
