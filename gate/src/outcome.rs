//! What came of a request: for the log, and as the record of fixed size that answers it. The gate itself logs
//! nothing.

use std::fmt;

use sknock_types::hex;

use crate::ceiling::ApprovedGrant;
use crate::ceiling::deny_reason::DenyReason;
use crate::cert_id::CertId;
use crate::error::FirewallError;
use crate::label::GrantLabel;
use crate::wire::{WireReader, Writer};

/// What the gate did.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Outcome {
    /// The table is installed.
    Activated {
        /// How many grants are open in it.
        open: usize,
        /// How many were open before and are not any more: today's ceiling forbids them, or they were
        /// for single use and cannot be known to be unused.
        dropped: usize,
    },
    /// The grant is open.
    Opened(ApprovedGrant),
    /// Grants of certificates are closed; how many of each. Certificates without a grant are left out.
    Closed(Vec<(CertId, usize)>),
    /// The grants of certificates by one issuer are closed, of some certificates at a time.
    ClosedIssuer {
        /// The beginning of a hash of the issuer, as in [`CertId`].
        issuer: [u8; CertId::ISSUER],
        /// Of how many certificates. None: that was all.
        certs: usize,
        /// How many grants.
        count: usize,
    },
    /// The next issuer of any certificate that was granted something; nothing after the last.
    Issuer(Option<[u8; CertId::ISSUER]>),
    /// Not while rules are on trial.
    OnTrial,
    /// Tags of knocks are kept until they are loaded.
    TagsStaged,
    /// The kernel has the tags, or the next table will.
    TagsLoaded,
    /// Over the ceiling, or no request.
    Refused {
        /// How.
        deny_reason: DenyReason,
        /// Whose request it was, if it was one.
        label: Option<GrantLabel>,
    },
    /// The kernel's set is full.
    NoCapacity(GrantLabel),
    /// The firewall would not.
    Failed(FirewallError),
}

impl Outcome {
    /// The answer to the network process.
    pub fn response(&self) -> Response {
        match self {
            Self::Activated { .. } => Response::Activated,
            Self::Opened(grant) => {
                Response::Opened { seconds: grant.seconds(), clipped: grant.clipped() }
            }
            Self::Closed(closed) => {
                let count: usize = closed.iter().map(|(_, count)| count).sum();
                Response::Closed { count: u32::try_from(count).unwrap_or(u32::MAX) }
            }
            Self::ClosedIssuer { certs, .. } => {
                Response::Closed { count: u32::try_from(*certs).unwrap_or(u32::MAX) }
            }
            Self::Issuer(issuer) => Response::Issuer(*issuer),
            Self::OnTrial => Response::OnTrial,
            Self::TagsStaged | Self::TagsLoaded => Response::Tags,
            Self::Refused { deny_reason, .. } => Response::Refused(*deny_reason),
            Self::NoCapacity(_) => Response::NoCapacity,
            Self::Failed(_) => Response::Failed,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Activated { open, dropped } => {
                write!(f, "rules loaded; grants kept: {open}, removed: {dropped}")
            }
            Self::Opened(grant) => {
                f.write_str("opened")?;
                grant.services().iter().try_for_each(|service| write!(f, " {service}"))?;
                f.write_str(" to")?;
                grant.addresses().iter().try_for_each(|address| write!(f, " {address}"))?;
                write!(f, " for {} s", grant.seconds())?;
                f.write_str(if grant.clipped() { " (clipped)" } else { "" })?;
                f.write_str(if grant.single_use() { ", single use" } else { "" })?;
                write!(f, "; {}", grant.label())
            }
            Self::Closed(closed) => {
                f.write_str("closed")?;
                (0..).zip(closed).try_for_each(|(place, (cert, count))| {
                    let and = if place == 0 { "" } else { "," };
                    write!(f, "{and} {count} grants of {cert}")
                })
            }
            Self::ClosedIssuer { issuer, certs, count } => {
                write!(f, "closed {count} grants of {certs} certificates of CA {}", hex(issuer))
            }
            Self::Issuer(_) => f.write_str("CA registered"),
            Self::OnTrial => f.write_str("refused: a trial is active"),
            Self::TagsStaged => f.write_str("tags of knocks received"),
            Self::TagsLoaded => f.write_str("tags of knocks loaded"),
            Self::Refused { deny_reason, label: Some(label) } => {
                write!(f, "refused: {deny_reason}; {label}")
            }
            Self::Refused { deny_reason, label: None } => write!(f, "refused: {deny_reason}"),
            Self::NoCapacity(label) => {
                write!(f, "refused: the set of the kernel is full. Raise maxGrants; {label}")
            }
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

/// The answer to a [`Request`](crate::Request).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Response {
    /// The table is installed.
    Activated,
    /// The kernel has the grant.
    Opened {
        /// For how long.
        seconds: u32,
        /// Whether that is less than was requested.
        clipped: bool,
    },
    /// The grants of these certificates, or of some by this issuer, are closed.
    Closed {
        /// To [`Request::Close`](crate::Request::Close): the number of grants that were open. To
        /// [`Request::CloseIssuer`](crate::Request::CloseIssuer): the number of certificates that had some; 0: that
        /// was all.
        count: u32,
    },
    /// The next issuer, as in [`CertId`]; nothing after the last.
    Issuer(Option<[u8; CertId::ISSUER]>),
    /// No issuer is named while rules are on trial.
    OnTrial,
    /// The tags are staged, or loaded.
    Tags,
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
    /// u8 kind: 1 activated | 2 opened | 3 closed | 4 refused | 5 no capacity | 6 failed | 7 issuer | 8 on trial
    ///    | 9 tags
    /// u8 clipped (0, 1), or the reason, or whether there is an issuer (0, 1)
    /// u32 seconds, or the count of grants or certificates, or [12] issuer | zeros
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
            Self::Tags => record.put(&[9]),
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
            (9, 0) => Self::Tags,
            (7, 0) => Self::Issuer(None),
            (7, 1) => Self::Issuer(Some(fields.array()?)),
            _ => return None,
        };
        (record.len() == Self::LEN && fields.ends()).then_some(answer)
    }
}
