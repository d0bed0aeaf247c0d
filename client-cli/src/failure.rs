//! All failures, with their exit codes and names for scripts.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sknock::{ConnectError, CredentialError, Doubt, KnockError, SealError, SealErrorV1};

/// The service was not opened, is not known to be open, or no knock could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{} does not exist. Set another file with --{option} or {variable}{}", path.display(), tilde(path))]
    Missing { path: PathBuf, option: &'static str, variable: &'static str },
    #[error(
        "{} does not exist. It is the file NAME.pfx that the administrator of the CA gives you. Copy it there, \
         or set another file with --identity or SKNOCK_IDENTITY", .0.display()
    )]
    NoIdentity(PathBuf),
    #[error(
        "no server certificate: {}. It is the file SERVER.cer that the administrator of \
         the CA gives you. Copy it there, or set another file with --server-cert or SKNOCK_SERVER_CERT",
        Places(own.as_deref(), general)
    )]
    NoServer { own: Option<PathBuf>, general: PathBuf },
    #[error("no knock was sent: {0}")]
    Pointless(Doubt),
    #[error("there is no home directory to search. Set a file with --{option} or {variable}")]
    NoPlace { option: &'static str, variable: &'static str },
    #[error("{0}")]
    Password(String),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Knock(#[from] KnockError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("connection lost: {0}")]
    Stream(io::Error),
    #[error("granted, but standard output is not writable: {0}")]
    Report(io::Error),
}

impl Failure {
    /// 1: not opened; 2: wrong use; 3: the identity, its password or a certificate.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Pointless(Doubt::NotAllowed { .. }) => 2,
            Self::Missing { .. }
            | Self::NoIdentity(_)
            | Self::NoServer { .. }
            | Self::NoPlace { .. }
            | Self::Pointless(_)
            | Self::Password(_)
            | Self::Credential(_) => 3,
            Self::Stream(_) | Self::Report(_) => 1,
            Self::Knock(_) | Self::Connect(_) => match self.unsealed() {
                Some(Unsealed::Identity) => 3,
                Some(Unsealed::Wish) => 2,
                Some(Unsealed::System) | None => 1,
            },
        }
    }

    /// The name for scripts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Pointless(Doubt::NotAllowed { .. }) => "usage",
            Self::Missing { .. }
            | Self::NoIdentity(_)
            | Self::NoServer { .. }
            | Self::NoPlace { .. }
            | Self::Pointless(_)
            | Self::Credential(_) => "identity",
            Self::Password(_) => "password",
            Self::Stream(_) => "stream",
            Self::Report(_) => "report",
            Self::Connect(ConnectError::NothingListens { .. }) => "nothing-listens",
            Self::Knock(_) | Self::Connect(_) => match (self.unsealed(), self.knock()) {
                (Some(Unsealed::Identity), _) => "identity",
                (Some(Unsealed::Wish), _) => "usage",
                (Some(Unsealed::System), _) | (_, Some(KnockError::NotSent { .. })) => "not-sent",
                (_, Some(KnockError::Resolve { .. } | KnockError::NoAddress { .. })) => "resolve",
                (_, Some(KnockError::NothingListens { .. })) => "nothing-listens",
                _ => "not-confirmed",
            },
        }
    }

    /// The client address in the server's answer.
    pub(crate) fn observed(&self) -> Option<SocketAddr> {
        let granted = match self {
            Self::Knock(KnockError::NothingListens { opened, .. }) => opened.granted,
            Self::Connect(ConnectError::NothingListens { granted, .. }) => Some(*granted),
            _ => None,
        };
        granted.map(|granted| granted.observed)
    }

    /// A remedy that depends on the command line, which the message does not know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        // The message already contains known causes.
        let KnockError::NotConfirmed { doubts, .. } = self.knock()? else { return None };
        doubts.is_empty().then_some(
            "Behind NAT: use --address source (with v1: your public address). If the server uses \
             another knock port: --knock-port. On slow networks: --timeout, --attempts",
        )
    }

    /// The reason why no knock could be made, if that is the failure.
    fn unsealed(&self) -> Option<Unsealed> {
        use {SealError as V2, SealErrorV1 as V1};
        Some(match self.knock()? {
            KnockError::Seal(V2::CertificateTooLarge { .. })
            | KnockError::SealV1(V1::CertificateTooLarge { .. } | V1::NotP256) => {
                Unsealed::Identity
            }
            KnockError::Seal(V2::Library) | KnockError::SealV1(V1::Library | V1::Stamp) => {
                Unsealed::System
            }
            KnockError::Seal(_)
            | KnockError::SealV1(_)
            | KnockError::NotInV1(_)
            | KnockError::TooManyPorts(_)
            | KnockError::Host(_)
            | KnockError::Address(_) => Unsealed::Wish,
            _ => return None,
        })
    }

    fn knock(&self) -> Option<&KnockError> {
        match self {
            Self::Knock(error) | Self::Connect(ConnectError::Knock(error)) => Some(error),
            Self::Connect(ConnectError::NotConfirmed { knock, .. }) => Some(knock),
            _ => None,
        }
    }
}

/// Paths where the server's certificate was expected.
struct Places<'a>(Option<&'a Path>, &'a Path);

impl fmt::Display for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(own, general) = self;
        let general = general.display();
        match own {
            Some(own) => write!(f, "neither {} nor {general} exists", own.display()),
            None => write!(f, "{general} does not exist"),
        }
    }
}

/// The note about a `~` that the shell has not expanded.
fn tilde(path: &Path) -> &'static str {
    let literal = path.starts_with("~");
    if literal { " (the shell expands ~ only at the start of a word; use $HOME)" } else { "" }
}

/// The cause when no knock can be made.
enum Unsealed {
    /// The certificate or its key.
    Identity,
    /// The request.
    Wish,
    /// This machine: its clock, its memory.
    System,
}
