//! One certificate in the register.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sknock_protocol::{Service, Timestamp};

use crate::name::CertificateName;
use crate::serial::RandomSerial;

/// The usage of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateKind {
    /// For a server.
    Server,
    /// For a client.
    Client,
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

/// A certificate's revocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredRevocation {
    /// The time of the revocation.
    #[serde(with = "text")]
    pub at: Timestamp,
    /// The reason.
    pub reason: Reason,
    /// The number of the first CRL that contains it. None while it is only recorded.
    pub list: Option<u64>,
}

/// Whether a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateState {
    /// Valid.
    Valid,
    /// Not valid yet: the clock was ahead when it was made, or is behind now.
    NotYet,
    /// Expired.
    Expired,
    /// Revoked.
    Revoked,
}

impl fmt::Display for CertificateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::NotYet => "not-yet",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

/// One certificate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterEntry {
    /// The serial number; unique.
    pub serial: RandomSerial,
    /// Its holder; several successive certificates may have the same name.
    pub name: CertificateName,
    /// The usage.
    pub kind: CertificateKind,
    /// The services that it allows; empty for a server.
    #[serde(with = "services")]
    pub services: Vec<Service>,
    /// Start of validity.
    #[serde(with = "text")]
    pub not_before: Timestamp,
    /// The last valid moment.
    #[serde(with = "text")]
    pub not_after: Timestamp,
    /// The revocation, if any.
    pub revoked: Option<RegisteredRevocation>,
}

impl RegisterEntry {
    /// The state at `now`. Revocation takes precedence over expiry.
    pub fn state(&self, now: Timestamp) -> CertificateState {
        if self.revoked.is_some() {
            CertificateState::Revoked
        } else if self.not_after < now {
            CertificateState::Expired
        } else if self.not_before > now {
            CertificateState::NotYet
        } else {
            CertificateState::Valid
        }
    }

    /// Whether it is valid at `now`, or will be.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        matches!(self.state(now), CertificateState::Valid | CertificateState::NotYet)
    }

    /// The files of its holder.
    pub(crate) fn files(&self) -> Vec<String> {
        match self.kind {
            CertificateKind::Server => vec![self.name.file("pfx"), self.name.file("cer")],
            CertificateKind::Client => vec![self.name.file("pfx")],
        }
    }
}

/// Why a certificate is revoked (RFC 5280, 5.3.1). Servers treat all reasons alike.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No reason given.
    #[default]
    Unspecified,
    /// Another person may have the key.
    KeyCompromise,
    /// Name or role of the holder have changed.
    AffiliationChanged,
    /// Another certificate replaces it.
    Superseded,
    /// No longer needed.
    CessationOfOperation,
    /// The holder may no longer use the services.
    PrivilegeWithdrawn,
}

/// Timestamps as RFC 3339 text in the register.
pub(crate) mod text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use sknock_protocol::Timestamp;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&moment.date())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        let date = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        let seconds = u64::try_from(date.unix_timestamp()).map_err(D::Error::custom)?;
        Ok(Timestamp::from_secs(seconds))
    }
}

/// Services as text.
mod services {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use sknock_protocol::Service;

    pub(crate) fn serialize<S: Serializer>(services: &[Service], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(services.iter().map(Service::to_string))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Service>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}
