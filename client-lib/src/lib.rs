//! Opens services that sKnock hides: one signed datagram, then connect.
//!
//! ```text
//! open_identity ─┐
//!                ├─ Client ── knock ──> Opened
//! open_server_certificate ─┘    └──── connect ──> TcpStream
//! ```
//!
//! Blocking, without an async runtime, and portable. Secrets are overwritten when dropped. Data from the
//! network is used only if it decrypts with the key of our own knock.

mod address;
mod client;
mod clock;
mod credentials;
mod doubt;
mod error;
mod host;
mod open_port;
mod options;
pub mod paths;
mod resolve;
mod tcp_connect;

pub use client::{Client, ClientBuilder, Connection};
pub use credentials::{open_identity, open_server_certificate, read_server_certificate};
pub use doubt::Doubt;
pub use error::{ConnectError, CredentialError, KnockError};
pub use host::{NotAHost, check_host};
pub use open_port::{Granted, OpenPort, Tried, Verified};
pub use options::{Address, Family, Protocol, UnknownProtocol};
pub use sknock_protocol::v1::V1SealError as SealErrorV1;
pub use sknock_protocol::v2::SealError;
pub use sknock_protocol::{
    Bundle, BundleError, DEFAULT_KNOCK_PORT, Identity, IdentityError, Misspelt, NotAService,
    ServerCertificate, ServerCertificateError, Service, Transport, Validity, plain_text,
};

#[cfg(test)]
extern crate self as sknock; // tests/support/world.rs calls us by this name

#[cfg(test)]
pub(crate) use client::tests::support::network;
