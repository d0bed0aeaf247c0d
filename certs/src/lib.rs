//! The certificate authority: issues and revokes certificates.
//!
//! An [`Authority`] is one folder: its key, its certificate, a register of all issued certificates, and
//! `crl.der`, the CRL that a web server publishes. `sknock-ca` is this library's command line.
//!
//! ```
//! use sknock_certs::{Authority, Reason};
//! use sknock_protocol::{Timestamp, Service};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let dir = folder.path().join("ca");
//! let now = Timestamp::from_secs(1_800_000_000);
//! let authority = Authority::init(&dir, None, 3650, now)?;
//! authority.server("gate.example.org", 3650, "a password", now)?;
//! authority.client("alice", &[Service::tcp(22).unwrap()], 365, "another one", now)?;
//! authority.revoke("alice", Reason::Superseded, now)?;
//! # Ok::<(), sknock_certs::AuthorityError>(())
//! ```
//!
//! The time is an argument everywhere; only the program reads a clock.
//!
//! Files in the folder, and their modes:
//!
//! | file | content | mode |
//! |---|---|---|
//! | `ca.key` | the authority's key, PKCS#8 in PEM, not encrypted: keep it off the servers | 0600 |
//! | `register.json` | every certificate, its revocation, and the last CRL's number: back it up with the key
//! | 0600 |
//! | `NAME.pfx` | key and certificate of a server or client, under its password | 0600 |
//! | `ca.cer`, `ca.pem` | the authority's certificate in DER and in PEM | 0644 |
//! | `NAME.cer` | a server's certificate in DER, for its clients | 0644 |
//! | `crl.der` | the CRL, for a web server to publish | 0644 |
//!
//! `init.unfinished` exists while `init` runs, and `*.new` while a file is written; after a killed run the
//! next one renames or removes them. All files belong to one user, and only that user may run this. Replaced
//! files keep their group and mode.
//!
//! The folder has mode 0711: a web server may open `crl.der`, by a link or an alias, but other users cannot
//! list the holders' names. Never make the folder itself a web root.

mod authority;
mod ca;
mod clock;
mod crl;
mod entry;
mod error;
mod finish;
mod folder;
mod issue;
mod key;
mod leaf;
mod name;
mod register;
mod serial;
mod validity;

pub use authority::{Authority, Revoked};
pub use crl::{Crl, DEFAULT_CRL_DAYS};
pub use entry::{CertificateKind, CertificateState, Reason, RegisterEntry, RegisteredRevocation};
pub use error::AuthorityError;
pub use issue::Issued;
pub use leaf::MAX_CLIENT_CERTIFICATE;
pub use name::{CertificateName, NotAName};
pub use serial::RandomSerial;
pub use validity::MAX_DAYS;
