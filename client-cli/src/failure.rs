//! Every way to fail, with its exit code and its name for scripts.

use std::io;
use std::path::PathBuf;

use sknock::{ConnectError, CredentialError, KnockError, SealError};

/// Not opened, not known to be, or not fit to knock at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{} does not exist; name another file with --{option} or {variable}", path.display())]
    Missing { path: PathBuf, option: &'static str, variable: &'static str },
    #[error("there is no home folder to look in; name a file with --{option} or {variable}")]
    NoPlace { option: &'static str, variable: &'static str },
    #[error("{0}")]
    Password(String),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Knock(#[from] KnockError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection broke: {0}")]
    Stream(io::Error),
    #[error("opened, but the report cannot be written: {0}")]
    Report(io::Error),
}

impl Failure {
    /// 1: not opened; 2: wrong use; 3: the identity, its password or a certificate.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Missing { .. }
            | Self::NoPlace { .. }
            | Self::Password(_)
            | Self::Credential(_) => 3,
            Self::Stream(_) | Self::Report(_) => 1,
            Self::Knock(_) | Self::Connect(_) => match self.knock() {
                Some(KnockError::Seal(SealError::CertificateTooLarge { .. })) => 3,
                Some(KnockError::Seal(SealError::Library)) => 1,
                Some(KnockError::Seal(_) | KnockError::Address(_)) => 2,
                _ => 1,
            },
        }
    }

    /// One word for scripts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NoPlace { .. } | Self::Credential(_) => "identity",
            Self::Password(_) => "password",
            Self::Stream(_) => "stream",
            Self::Report(_) => "report",
            Self::Connect(ConnectError::NothingListens { .. }) => "nothing-listens",
            Self::Knock(_) | Self::Connect(_) => match self.knock() {
                Some(KnockError::Seal(SealError::CertificateTooLarge { .. })) => "identity",
                Some(KnockError::Seal(_) | KnockError::Address(_)) => "usage",
                Some(KnockError::Resolve { .. } | KnockError::NoAddress { .. }) => "resolve",
                Some(KnockError::NotSent { .. }) => "not-sent",
                Some(KnockError::NothingListens { .. }) => "nothing-listens",
                _ => "not-confirmed",
            },
        }
    }

    /// What to try on this command line, where the message cannot know it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        matches!(self.knock()?, KnockError::NotConfirmed { .. }).then_some(
            "behind a NAT that the claimed address does not show, try --address source; \
             another knock port is named with --knock-port; --timeout and --attempts give more time",
        )
    }

    fn knock(&self) -> Option<&KnockError> {
        match self {
            Self::Knock(error) | Self::Connect(ConnectError::Knock(error)) => Some(error),
            Self::Connect(ConnectError::NotConfirmed { knock, .. }) => Some(knock),
            _ => None,
        }
    }
}
