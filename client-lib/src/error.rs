//! Errors, each with a remedy.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use sknock_protocol::service::MOST_PORTS;
use sknock_protocol::v1;
use sknock_protocol::v2::SealError;
use sknock_protocol::{BundleError, IdentityError, ServerCertificateError, Service};

use crate::doubt::Doubt;
use crate::host::NotAHost;
use crate::open_port::{Granted, OpenPort, Tried};
use crate::options::Family;

/// An identity or a server's certificate could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is a folder.
    #[error("{} is a directory. Use the file in it", path.display())]
    Folder {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than any identity or certificate.
    #[error("{} is larger than 1 MiB, so it is not an identity or certificate. Use another file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file contains no usable key and certificate.
    #[error("{}: {source}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: BundleError,
    },
    /// The key and certificate cannot be used for knocks.
    #[error("{}: {source}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: IdentityError,
    },
    /// Not a certificate to which a knock can be encrypted.
    #[error("{}: {source}", path.display())]
    ServerCertificate {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ServerCertificateError,
    },
}

/// Access is not known to be granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnockError {
    /// Nothing was sent: no knock can express this request, or our certificate does not fit into one.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Nothing was sent: no knock of protocol v1 can express this request, or not with our certificate.
    #[error(transparent)]
    SealV1(#[from] v1::V1SealError),
    /// Nothing was sent: protocol v1 cannot express this.
    #[error("protocol v1 cannot {0}. Do without, or use v2 if the server supports it")]
    NotInV1(&'static str),
    /// Nothing was sent: this is not a host.
    #[error(transparent)]
    Host(#[from] NotAHost),
    /// Nothing was sent: no server opens this number of ports for one knock.
    #[error("a knock opens at most {MOST_PORTS} ports, not {0}. Request fewer")]
    TooManyPorts(u32),
    /// Nothing was sent: no server accepts a knock for this address.
    #[error(
        "{0} is not usable as a client address. Use the address by which the server sees \
             this client"
    )]
    Address(IpAddr),
    /// The host's name cannot be resolved.
    #[error("cannot find the address of {host}: {source}. Check the name and the network")]
    Resolve {
        /// The host as given by the caller.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// The host has addresses, but none of the requested family.
    #[error("{host} has no {} address. If the address family is limited, allow the other one", family_name(*family))]
    NoAddress {
        /// The host as given by the caller.
        host: String,
        /// The requested family.
        family: Family,
    },
    /// No knock could be sent.
    #[error("cannot send a knock to {host}: {source}. Check the network and the local firewall")]
    NotSent {
        /// The host as given by the caller.
        host: String,
        /// The system's latest error.
        source: io::Error,
    },
    /// Knocks were sent, and there is no sign that one of them was accepted.
    ///
    /// Servers never answer refused knocks, so there are many possible reasons.
    #[error(
        "{host} did not confirm: sent knocks to {} at UDP port {port}. {}Possible causes: the \
         server does not run; this clock is wrong by more than a few seconds; the server \
         certificate is that of another server; your certificate has expired, is revoked or does \
         not allow the services; the server sees another client address. The server log has the \
         reason. If only the answers were lost, the port may be open",
        TriedText(tried),
        DoubtText(doubts)
    )]
    NotConfirmed {
        /// The host as given by the caller.
        host: String,
        /// The UDP port of the knocks.
        port: u16,
        /// Every address, with the claimed address.
        tried: Vec<Tried>,
        /// Possible reasons that the client found itself.
        doubts: Vec<Doubt>,
    },
    /// The server granted access, but nothing accepts connections at the port.
    #[error(
        "the server opened {service}{}, but a connection to {} failed: {source}. Start the \
         service there; check other firewalls; check that this client connects from the same \
         address",
        For(opened.granted.as_ref()),
        opened.destination
    )]
    NothingListens {
        /// The port that was tried.
        service: Service,
        /// The grant.
        opened: Box<OpenPort>,
        /// The error of the connection.
        source: io::Error,
    },
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No connection was tried.
    #[error(transparent)]
    Knock(#[from] KnockError),
    /// Port 0 was requested.
    #[error("port 0 cannot be used. Use a port from 1 to 65535")]
    NoPort,
    /// The server granted access, but nothing accepts connections at the port.
    #[error(
        "the server opened the port{}, but connecting to {to} failed: {source}. Start the \
         service there; check other firewalls; check that this client connects from the same \
         address",
        For(Some(granted))
    )]
    NothingListens {
        /// The destination.
        to: SocketAddr,
        /// The server's answer.
        granted: Granted,
        /// The error of the last connection.
        source: io::Error,
    },
    /// Neither an answer nor a connection.
    #[error("connecting to {to} failed: {source}. {knock}")]
    NotConfirmed {
        /// The last address that was tried.
        to: SocketAddr,
        /// The error of the last connection.
        source: io::Error,
        /// The result of the knocks.
        knock: Box<KnockError>,
    },
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Any => "usable",
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

/// The client address of a grant, as the server sees it.
struct For<'a>(Option<&'a Granted>);

impl fmt::Display for For<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(granted) => write!(f, " for {}", granted.observed.ip()),
            None => Ok(()),
        }
    }
}

/// Known reasons, which precede possible ones in the message.
struct DoubtText<'a>(&'a [Doubt]);

impl fmt::Display for DoubtText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|doubt| write!(f, "Found in your files: {doubt}. "))
    }
}

struct TriedText<'a>(&'a [Tried]);

impl fmt::Display for TriedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Tried { destination, claimed }) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{destination} (")?;
            match claimed {
                Some(address) => write!(f, "client address {address})")?,
                None => f.write_str("client address: source of the packet)")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unconfirmed_knock_says_what_was_tried_and_what_to_check() {
        let tried = vec![
            Tried { destination: [192, 0, 2, 1].into(), claimed: Some([192, 0, 2, 7].into()) },
            Tried { destination: "2001:db8::1".parse().unwrap(), claimed: None },
        ];
        let doubts = vec![Doubt::NothingAllowed];
        let host = "gateway".into();
        let text = KnockError::NotConfirmed { host, port: 62344, tried, doubts }.to_string();
        assert!(
            text.contains(". Found in your files: your certificate allows no service. "),
            "{text}"
        );
        assert!(text.contains(
            "192.0.2.1 (client address 192.0.2.7), 2001:db8::1 (client address: source of the packet)"
        ));
        for hint in
            ["62344", "clock", "server certificate", "your certificate", "answers were lost"]
        {
            assert!(text.contains(hint), "{hint}: {text}");
        }
    }
}
