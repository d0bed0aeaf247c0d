//! What came of a request: for the log, and for the answer. The gate itself logs nothing.

use std::fmt;

use sknock_types::hex;

use crate::ceiling::ApprovedGrant;
use crate::ceiling::deny_reason::DenyReason;
use crate::cert_id::CertId;
use crate::error::FirewallError;
use crate::label::GrantLabel;
use crate::response::Response;

/// What the gate did.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Outcome {
    /// The protection is up.
    Activated {
        /// So many doors are open in it.
        open: usize,
        /// So many were open before and are not any more: today's ceiling forbids them, or they were
        /// for single use and cannot be known to be unused.
        dropped: usize,
    },
    /// Somebody was let in.
    Opened(ApprovedGrant),
    /// Grants of certificates are closed: of these so many doors. Who had none is left out.
    Closed(Vec<(CertId, usize)>),
    /// The grants of certificates by one issuer are closed, of so many at once as bear it.
    ClosedIssuer {
        /// The beginning of a hash of the issuer, as in [`CertId`].
        issuer: [u8; CertId::ISSUER],
        /// Of so many certificates. None: that was all.
        certs: usize,
        /// So many doors.
        count: usize,
    },
    /// The next issuer of anybody who was granted something; nothing after the last.
    Issuer(Option<[u8; CertId::ISSUER]>),
    /// Not while rules are on trial.
    OnTrial,
    /// Over the ceiling, or no request.
    Refused {
        /// How.
        deny_reason: DenyReason,
        /// Whose wish it was, if it was one.
        label: Option<GrantLabel>,
    },
    /// The kernel's set is full.
    NoCapacity(GrantLabel),
    /// The firewall would not.
    Failed(FirewallError),
}

impl Outcome {
    /// What to tell whoever asked.
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
