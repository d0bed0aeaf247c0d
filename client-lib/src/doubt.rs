//! Reasons for a refusal that the client can find itself. Servers never give a reason, but a client can read
//! its own certificate.

use std::fmt;
use std::time::Duration;

use sknock_protocol::service::{MOST_PORTS, all_covered, ports};
use sknock_protocol::{Identity, ServerCertificate, Service, Timestamp, allowed_services};

use crate::options::Protocol;

/// The notice period before expiry; for certificates with a short life, its last tenth.
const EXPIRY_NOTICE: Duration = Duration::from_secs(14 * 24 * 3600);

/// A reason why knocks are or will soon be refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Doubt {
    /// Our certificate has expired.
    Ended(Timestamp),
    /// Our certificate expires soon.
    EndsSoon(Timestamp),
    /// Our certificate is not valid yet.
    NotBegun(Timestamp),
    /// The server's certificate has expired. Knocks still work, as long as its key is the server's.
    ServerEnded(Timestamp),
    /// Our certificate is for another usage, or its key must not sign.
    NotForClients,
    /// Our certificate allows no service.
    NothingAllowed,
    /// Our certificate does not allow a requested service.
    NotAllowed {
        /// The services that it allows.
        allowed: Vec<Service>,
        /// The first service that it does not allow.
        wanted: Service,
    },
    /// No service was named, and our certificate allows more ports than one knock can open.
    TooManyAllowed(u32),
}

impl Doubt {
    /// Whether a server with a correct clock refuses every such knock, so that sending it is pointless. Not
    /// for a certificate without services: the server may find them in a form that the client does not read.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Ended(_) | Self::NotBegun(_) | Self::NotAllowed { .. } => true,
            Self::EndsSoon(_)
            | Self::ServerEnded(_)
            | Self::NotForClients
            | Self::NothingAllowed
            | Self::TooManyAllowed(_) => false,
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(end) => {
                write!(
                    f,
                    "your certificate expired on {}. Request a new one, or correct the clock of this \
                     machine",
                    end.date()
                )
            }
            Self::EndsSoon(end) => {
                write!(
                    f,
                    "your certificate expires on {}. Request a new one before that date",
                    end.date()
                )
            }
            Self::NotBegun(begin) => {
                write!(
                    f,
                    "your certificate is valid only from {}. Check the clock of this \
                           machine",
                    begin.date()
                )
            }
            Self::ServerEnded(end) => write!(
                f,
                "the server certificate expired on {}. Request the new one; the server key may \
                 have changed",
                end.date()
            ),
            Self::NotForClients => f.write_str(
                "your certificate is not for client authentication, or its keyUsage lacks \
                 digitalSignature (is it a server certificate?). Check the file",
            ),
            Self::NothingAllowed => {
                f.write_str("your certificate allows no service. Request one that does")
            }
            Self::NotAllowed { allowed, wanted } => {
                let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
                let allowed = allowed.join(", ");
                write!(f, "your certificate allows only {allowed}, not {wanted}")
            }
            Self::TooManyAllowed(ports) => write!(
                f,
                "your certificate allows {ports} ports, and a knock opens at most {MOST_PORTS}. \
                 Name the services to open"
            ),
        }
    }
}

/// Doubts about validity periods, as of `now`.
pub(crate) fn ends(identity: &Identity, server: &ServerCertificate, now: Timestamp) -> Vec<Doubt> {
    let ours = identity.validity();
    let life = ours.ends.since(ours.begins);
    let own = if now < ours.begins {
        Some(Doubt::NotBegun(ours.begins))
    } else if ours.ends < now {
        Some(Doubt::Ended(ours.ends))
    } else {
        let soon = ours.ends.since(now) < EXPIRY_NOTICE.min(life / 10);
        soon.then_some(Doubt::EndsSoon(ours.ends))
    };
    let end = server.validity().ends;
    own.into_iter().chain((end < now).then_some(Doubt::ServerEnded(end))).collect()
}

/// Same as `ends`, and the reasons in our certificate against this request. No doubt is proof: the server
/// decides.
pub(crate) fn about(
    identity: &Identity,
    server: &ServerCertificate,
    protocol: Protocol,
    services: &[Service],
    now: Timestamp,
) -> Vec<Doubt> {
    let mut doubts = ends(identity, server, now);
    if protocol == Protocol::V2 && !identity.is_for_clients() {
        doubts.push(Doubt::NotForClients);
        return doubts;
    }
    let Ok(allowed) = allowed_services(identity.certificate()) else { return doubts };
    let fits = |wanted: &&Service| all_covered(wanted, &allowed);
    if allowed.is_empty() {
        doubts.push(Doubt::NothingAllowed);
    } else if let Some(&wanted) = services.iter().find(|wanted| !fits(wanted)) {
        doubts.push(Doubt::NotAllowed { allowed, wanted });
    } else if services.is_empty() && ports(&allowed) > MOST_PORTS {
        doubts.push(Doubt::TooManyAllowed(ports(&allowed)));
    }
    doubts
}
