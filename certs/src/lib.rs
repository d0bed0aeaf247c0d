//! The authority: who may knock, and who may no longer.
//!
//! An [`Authority`] lives in one folder: its key, its certificate, a register of everything it ever
//! issued, and `crl.der`, the revocation list that a web server publishes. `sknock-ca` is this
//! library on the command line.
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
//! What lies in the folder, and who may read it:
//!
//! | file | content | mode |
//! |---|---|---|
//! | `ca.key` | the authority's key, PKCS#8 in PEM, not encrypted: keep it off the servers | 0600 |
//! | `register.json` | every certificate, what is revoked by which list, and the last list's number: back it up with the key | 0600 |
//! | `NAME.pfx` | what a server or a client needs, under its password | 0600 |
//! | `ca.cer`, `ca.pem` | the authority's certificate in DER and in PEM | 0644 |
//! | `NAME.cer` | a server's certificate in DER, for its clients | 0644 |
//! | `crl.der` | the revocation list, for a web server to publish | 0644 |
//!
//! `init.unfinished` is there while `init` works, and `*.new` while a file is written; what a killed run
//! has left of them the next one puts in place or removes. Everything belongs to one user, who alone
//! may run this, and files that are replaced keep their group and mode.
//!
//! The folder has mode 0711: a web server may open `crl.der`, by a link or an alias, but nobody
//! else sees whose certificates lie here. Never make the folder itself a web root.

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
mod ownership;
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
