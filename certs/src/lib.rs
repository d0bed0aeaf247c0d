//! The authority: who may knock, and who may no longer.
//!
//! An [`Authority`] lives in one folder: its key, its certificate, a register of everything it ever
//! issued, and `crl.der`, the revocation list that a web server publishes. `sknock-ca` is this
//! library on the command line.
//!
//! ```
//! use sknock_certs::{Authority, Reason};
//! use sknock_protocol::{Moment, Service};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let dir = folder.path().join("ca");
//! let now = Moment::from_secs(1_800_000_000);
//! let authority = Authority::init(&dir, None, 3650, now)?;
//! authority.server("gate.example.org", 3650, "a password", now)?;
//! authority.client("alice", &[Service::tcp(22).unwrap()], 365, "another one", now)?;
//! authority.revoke("alice", Reason::Superseded, now)?;
//! # Ok::<(), sknock_certs::Error>(())
//! ```
//!
//! The time is an argument everywhere; only the program reads a clock.

mod authority;
mod ca;
mod crl;
mod error;
mod folder;
mod key;
mod leaf;
mod name;
mod pfx;
mod register;
mod serial;
mod validity;

pub use authority::{Authority, Issued, Revoked};
pub use crl::{Crl, DEFAULT_CRL_DAYS, Reason};
pub use error::Error;
pub use leaf::MAX_CLIENT_CERTIFICATE;
pub use name::Name;
pub use register::{Entry, Kind, Revocation, State};
pub use serial::Serial;
pub use validity::{MAX_DAYS, date};
