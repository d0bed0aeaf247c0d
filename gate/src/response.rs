//! What the gate says back: one record of fixed size for every request, whatever it was.

use crate::ceiling::deny_reason::DenyReason;
use crate::cert_id::CertId;
use crate::wire::{WireReader, Writer};

/// The answer to a [`Request`](crate::Request).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Response {
    /// The protection is up.
    Activated,
    /// The kernel lets the client in.
    Opened {
        /// For so long.
        seconds: u32,
        /// Whether that is less than was wished.
        clipped: bool,
    },
    /// The grants of these certificates, or of some by this issuer, are closed.
    Closed {
        /// To [`Request::Close`](crate::Request::Close): the number of doors that were open. To
        /// [`Request::CloseIssuer`](crate::Request::CloseIssuer): the number of certificates that had some; 0: that
        /// was all.
        count: u32,
    },
    /// The next issuer, as in [`CertId`]; nothing after the last.
    Issuer(Option<[u8; CertId::ISSUER]>),
    /// No issuer is named while rules are on trial.
    OnTrial,
    /// Over the ceiling, or no request.
    Refused(DenyReason),
    /// The kernel's set is full.
    NoCapacity,
    /// The firewall would not; the gate's log says why.
    Failed,
}

impl Response {
    /// Every answer is this long.
    ///
    /// ```text
    /// u8 kind: 1 raised | 2 opened | 3 closed | 4 refused | 5 no capacity | 6 failed | 7 issuer | 8 on trial
    /// u8 clipped (0, 1), or the excess, or whether there is an issuer (0, 1)
    /// u32 seconds, or the count of doors or certificates, or [12] issuer | zeros
    /// ```
    pub const LEN: usize = 16;

    /// The record.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut record = Writer::<{ Self::LEN }>::new();
        let written = match *self {
            Self::Activated => record.put(&[1]),
            Self::Opened { seconds, clipped } => record
                .put(&[2, u8::from(clipped)])
                .and_then(|()| record.put(&seconds.to_be_bytes())),
            Self::Closed { count } => {
                record.put(&[3, 0]).and_then(|()| record.put(&count.to_be_bytes()))
            }
            Self::Refused(deny_reason) => record.put(&[4, deny_reason as u8]),
            Self::NoCapacity => record.put(&[5]),
            Self::Failed => record.put(&[6]),
            Self::OnTrial => record.put(&[8]),
            Self::Issuer(issuer) => record
                .put(&[7, u8::from(issuer.is_some())])
                .and_then(|()| record.put(&issuer.unwrap_or_default())),
        };
        debug_assert!(written.is_some(), "at most fourteen bytes");
        record.finish()
    }

    /// The answer in these bytes, if they are exactly one.
    pub fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = WireReader::new(record.first_chunk::<{ Self::LEN }>()?);
        let answer = match (fields.byte()?, fields.byte()?) {
            (1, 0) => Self::Activated,
            (2, clipped @ 0..=1) => Self::Opened { seconds: fields.long()?, clipped: clipped == 1 },
            (3, 0) => Self::Closed { count: fields.long()? },
            (4, deny_reason) => Self::Refused(DenyReason::from_number(deny_reason)?),
            (5, 0) => Self::NoCapacity,
            (6, 0) => Self::Failed,
            (8, 0) => Self::OnTrial,
            (7, 0) => Self::Issuer(None),
            (7, 1) => Self::Issuer(Some(fields.array()?)),
            _ => return None,
        };
        (record.len() == Self::LEN && fields.ends()).then_some(answer)
    }
}
