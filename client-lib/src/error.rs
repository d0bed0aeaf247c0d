//! What can go wrong, and what to do about it.

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
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a folder.
    #[error("{} is a directory. Use the file in it", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
    },
    /// The file is larger than any identity or certificate.
    #[error("{} is larger than 1 MiB, so it is not an identity or certificate. Use another file", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// No key and certificate could be got out of it.
    #[error("{}: {source}", path.display())]
    Bundle {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: BundleError,
    },
    /// The key and certificate are not fit for knocking.
    #[error("{}: {source}", path.display())]
    Identity {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: IdentityError,
    },
    /// Not a certificate that a knock can be encrypted to.
    #[error("{}: {source}", path.display())]
    ServerCertificate {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ServerCertificateError,
    },
}

/// The door is not known to be open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnockError {
    /// Nothing was sent: no knock can ask for this, or our certificate does not fit into one.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Nothing was sent: no knock of protocol v1 can ask for this, or not with our certificate.
    #[error(transparent)]
    SealV1(#[from] v1::V1SealError),
    /// Nothing was sent: protocol v1 has no way to say this.
    #[error("protocol v1 cannot {0}. Do without, or use v2 if the server supports it")]
    NotInV1(&'static str),
    /// Nothing was sent: this names no host.
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
    /// The host has no address that we know of.
    #[error("cannot find the address of {host}: {source}. Check the name and the network")]
    Resolve {
        /// As it was given.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The host has addresses, but none of the family that was asked for.
    #[error("{host} has no {} address. If the address family is limited, allow the other one", family_name(*family))]
    NoAddress {
        /// As it was given.
        host: String,
        /// What was asked for.
        family: Family,
    },
    /// Not one knock could be sent.
    #[error("cannot send a knock to {host}: {source}. Check the network and the local firewall")]
    NotSent {
        /// As it was given.
        host: String,
        /// What the system said last.
        source: io::Error,
    },
    /// Knocks were sent, and nothing shows that one of them was accepted.
    ///
    /// Servers never say no, so this has many possible reasons.
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
        /// As it was given.
        host: String,
        /// The UDP port of the knocks.
        port: u16,
        /// Every address, and how it was asked.
        tried: Vec<Tried>,
        /// What we know by ourselves that may be the reason.
        doubts: Vec<Doubt>,
    },
    /// The server opened the door, but behind it nothing accepts connections.
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
        /// The door.
        opened: Box<OpenPort>,
        /// Why the connection failed.
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
    /// Port 0 was asked for.
    #[error("port 0 cannot be used. Use a port from 1 to 65535")]
    NoPort,
    /// The server opened the port, but behind it nothing accepts connections.
    #[error(
        "the server opened the port{}, but connecting to {to} failed: {source}. Start the \
         service there; check other firewalls; check that this client connects from the same \
         address",
        For(Some(granted))
    )]
    NothingListens {
        /// Where to.
        to: SocketAddr,
        /// What the server said.
        granted: Granted,
        /// Why the last connection failed.
        source: io::Error,
    },
    /// Neither an answer nor a connection.
    #[error("connecting to {to} failed: {source}. {knock}")]
    NotConfirmed {
        /// The last address that was tried.
        to: SocketAddr,
        /// Why the last connection failed.
        source: io::Error,
        /// What is known about the knocks.
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

/// Whom a door was opened for: what the server sees of us.
struct For<'a>(Option<&'a Granted>);

impl fmt::Display for For<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(granted) => write!(f, " for {}", granted.observed.ip()),
            None => Ok(()),
        }
    }
}

/// What is known here, before what may be so.
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
        let said = KnockError::NotConfirmed { host, port: 62344, tried, doubts }.to_string();
        assert!(
            said.contains(". Found in your files: your certificate allows no service. "),
            "{said}"
        );
        assert!(said.contains(
            "192.0.2.1 (client address 192.0.2.7), 2001:db8::1 (client address: source of the packet)"
        ));
        for hint in
            ["62344", "clock", "server certificate", "your certificate", "answers were lost"]
        {
            assert!(said.contains(hint), "{hint}: {said}");
        }
    }
}
