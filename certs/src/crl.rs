//! The CRL.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use serde::{Deserialize, Serialize};
use sknock_protocol::Timestamp;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::ca::Ca;
use crate::entry::{Reason, RegisterEntry, RegisteredRevocation, text};
use crate::error::AuthorityError;
use crate::validity::{calendar, in_days};

/// Validity of the first CRL, in days.
pub const DEFAULT_CRL_DAYS: u32 = 30;

/// The published CRL, in DER.
pub(crate) const FILE: &str = "crl.der";

/// One issue of the CRL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Crl {
    /// Number of the issue; the first is 1, and none is ever used twice.
    pub number: u64,
    /// thisUpdate. Never before that of an earlier issue: no server would accept it.
    #[serde(with = "text")]
    pub this_update: Timestamp,
    /// nextUpdate.
    #[serde(with = "text")]
    pub next_update: Timestamp,
    /// The validity in days that was requested.
    pub days: u32,
}

impl Crl {
    /// The first issue.
    pub(crate) fn first(now: Timestamp) -> Result<Self, AuthorityError> {
        let (number, days) = (1, DEFAULT_CRL_DAYS);
        Ok(Self { number, this_update: now, next_update: in_days(days, now)?, days })
    }

    /// The issue after this one, valid for `days` from `this_update`.
    pub(crate) fn next(&self, days: u32, this_update: Timestamp) -> Result<Self, AuthorityError> {
        let number = self.number.checked_add(1).ok_or(AuthorityError::LastNumber)?;
        Ok(Self { number, this_update, next_update: in_days(days, this_update)?, days })
    }

    /// The CRL in DER: the revoked certificates, signed.
    pub(crate) fn sign<'a>(
        &self,
        revoked: impl Iterator<Item = (&'a RegisterEntry, &'a RegisteredRevocation)>,
        ca: &Ca,
    ) -> Result<Vec<u8>, AuthorityError> {
        let params = CertificateRevocationListParams {
            this_update: calendar(self.this_update)?,
            next_update: calendar(self.next_update)?,
            crl_number: SerialNumber::from(self.number),
            // Complete: servers accept it for every certificate of this CA, whatever that names (RFC 5280,
            // 6.3.3).
            issuing_distribution_point: None,
            revoked_certs: revoked.map(listed).collect::<Result<_, _>>()?,
            // From the CA's certificate, so that both agree whatever way the library computes such an id.
            key_identifier_method: KeyIdMethod::PreSpecified(ca.key_id.clone()),
        };
        let list = params.signed_by(&ca.issuer()?);
        list.map(|list| list.der().to_vec())
            .map_err(|error| AuthorityError::Encoding { what: "CRL", why: error.to_string() })
    }
}

/// The published CRL in relation to the one in the register.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Published {
    /// The same CRL.
    Same,
    /// An earlier one, or none.
    Behind,
    /// A later one, with this number.
    Ahead(u64),
}

impl Published {
    /// Compares the content of the file with `wanted`, which has this number. ECDSA signatures differ each
    /// time; all other bytes of one number are equal.
    pub(crate) fn compare(file: &[u8], wanted: &[u8], number: u64, ca: &Ca) -> Self {
        let (Some(found), Some(wanted)) = (CrlParts::read(file), CrlParts::read(wanted)) else {
            return Self::Behind;
        };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, ca.key.pair().public_key_raw());
        // Before the number counts: a file of somebody else must not make the register look outdated.
        if key.verify(&found.content, &found.signature).is_err() {
            return Self::Behind;
        }
        match found.number {
            Some(ahead) if ahead > number => Self::Ahead(ahead),
            _ if found.content == wanted.content => Self::Same,
            _ => Self::Behind,
        }
    }
}

/// The parts of a CRL.
struct CrlParts {
    content: Vec<u8>,
    number: Option<u64>,
    signature: Vec<u8>,
}

impl CrlParts {
    fn read(der: &[u8]) -> Option<Self> {
        let (rest, list) = CertificateRevocationList::from_der(der).ok()?;
        rest.is_empty().then(|| Self {
            content: list.tbs_cert_list.as_ref().to_vec(),
            number: list.crl_number().and_then(|number| number.try_into().ok()),
            signature: list.signature_value.data.to_vec(),
        })
    }
}

fn listed(
    (entry, revocation): (&RegisterEntry, &RegisteredRevocation),
) -> Result<RevokedCertParams, AuthorityError> {
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(entry.serial.as_bytes()),
        revocation_time: calendar(revocation.at)?,
        reason_code: Some(code(revocation.reason)),
        invalidity_date: None,
    })
}

fn code(reason: Reason) -> RevocationReason {
    match reason {
        Reason::Unspecified => RevocationReason::Unspecified,
        Reason::KeyCompromise => RevocationReason::KeyCompromise,
        Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
        Reason::Superseded => RevocationReason::Superseded,
        Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
        Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn crl_numbers_increase_up_to_the_last() {
        let first = Crl::first(NOW).unwrap();
        assert_eq!((first.number, first.this_update), (1, NOW));
        assert_eq!(first.next_update, Timestamp::from_secs(NOW.as_secs() + 30 * 86_400));
        let later = Timestamp::from_secs(NOW.as_secs() + 1);
        let second = first.next(1, later).unwrap();
        assert_eq!((second.number, second.this_update), (2, later));
        let last = Crl { number: u64::MAX, ..first };
        assert!(matches!(last.next(1, NOW), Err(AuthorityError::LastNumber)));
    }
}
