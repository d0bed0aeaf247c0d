//! What came of a request: for the log, and for the answer. The gate itself logs nothing.

use std::fmt;

use crate::{Answer, Error, Excess, Holder, Label, Opening};

/// What the gate did.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Happened {
    /// The protection is up.
    Raised {
        /// So many doors are open in it.
        open: usize,
        /// So many were open before and are not any more: today's ceiling forbids them, or they were
        /// for single use and cannot be known to be unused.
        dropped: usize,
    },
    /// Somebody was let in.
    Opened(Opening),
    /// Grants of certificates are closed: of these so many doors. Who had none is left out.
    Closed(Vec<(Holder, usize)>),
    /// The grants of certificates by one issuer are closed, of so many at once as bear it.
    ClosedBelow {
        /// The beginning of a hash of the issuer, as in [`Holder`].
        issuer: [u8; Holder::ISSUER],
        /// Of so many certificates. None: that was all.
        holders: usize,
        /// So many doors.
        count: usize,
    },
    /// The next issuer of anybody who was granted something; nothing after the last.
    Issuer(Option<[u8; Holder::ISSUER]>),
    /// Not while rules are on trial.
    OnTrial,
    /// Over the ceiling, or no request.
    Refused {
        /// How.
        excess: Excess,
        /// Whose wish it was, if it was one.
        label: Option<Label>,
    },
    /// The kernel's set is full.
    NoCapacity(Label),
    /// The firewall would not.
    Failed(Error),
}

impl Happened {
    /// What to tell whoever asked.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Raised { .. } => Answer::Raised,
            Self::Opened(opening) => {
                Answer::Opened { seconds: opening.seconds(), clipped: opening.clipped() }
            }
            Self::Closed(closed) => {
                let count: usize = closed.iter().map(|(_, count)| count).sum();
                Answer::Closed { count: u32::try_from(count).unwrap_or(u32::MAX) }
            }
            Self::ClosedBelow { holders, .. } => {
                Answer::Closed { count: u32::try_from(*holders).unwrap_or(u32::MAX) }
            }
            Self::Issuer(issuer) => Answer::Issuer(*issuer),
            Self::OnTrial => Answer::OnTrial,
            Self::Refused { excess, .. } => Answer::Refused(*excess),
            Self::NoCapacity(_) => Answer::NoCapacity,
            Self::Failed(_) => Answer::Failed,
        }
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raised { open, dropped } => {
                write!(f, "protection is up; grants open: {open}, dropped: {dropped}")
            }
            Self::Opened(opening) => {
                f.write_str("opened")?;
                opening.services().iter().try_for_each(|service| write!(f, " {service}"))?;
                f.write_str(" to")?;
                opening.addresses().iter().try_for_each(|address| write!(f, " {address}"))?;
                write!(f, " for {} s", opening.seconds())?;
                f.write_str(if opening.clipped() { " (clipped)" } else { "" })?;
                f.write_str(if opening.single_use() { ", single use" } else { "" })?;
                write!(f, "; {}", opening.label())
            }
            Self::Closed(closed) => {
                f.write_str("closed")?;
                (0..).zip(closed).try_for_each(|(place, (holder, count))| {
                    let and = if place == 0 { "" } else { "," };
                    write!(f, "{and} {count} grants of {holder}")
                })
            }
            Self::ClosedBelow { issuer, holders, count } => {
                write!(f, "closed {count} grants of {holders} certificates by ")?;
                issuer.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Issuer(_) => f.write_str("named an issuer"),
            Self::OnTrial => f.write_str("not while rules are on trial"),
            Self::Refused { excess, label: Some(label) } => write!(f, "refused: {excess}; {label}"),
            Self::Refused { excess, label: None } => write!(f, "refused: {excess}"),
            Self::NoCapacity(label) => {
                write!(
                    f,
                    "refused: the kernel's set is full; raise the limit of live grants; {label}"
                )
            }
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}
