//! A certificate authority in a folder of its own, with one server and one client.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sknock::{Identity, ServerCertificate};
use sknock_certs::Reason;
use sknock_protocol::Service;
use tempfile::TempDir;

use crate::wait::now;

/// The password of every file, with all that has ever broken a parser.
pub const PASSWORD: &str = "p\\w\"o'r;d%ü€#";

/// The authority, the server `gate`, and the client `alice`, with the services [`Self::ALLOWED`].
pub struct Authority {
    folder: TempDir,
    ca: sknock_certs::Authority,
}

const DAYS: u32 = 10;

impl Authority {
    /// What `alice` may open.
    pub const ALLOWED: [&str; 5] = ["tcp/22", "tcp/2222", "tcp/8080", "udp/53", "udp/60000-60010"];

    /// Makes all of it.
    pub fn new() -> Self {
        let folder = traversable_folder();
        let ca = sknock_certs::Authority::init(&folder.path().join("ca"), None, DAYS, now());
        let authority = Self { folder, ca: ca.expect("an empty folder") };
        authority.server("gate");
        authority.client("alice", &Self::ALLOWED);
        let password = authority.password_file();
        fs::write(&password, PASSWORD).expect("our folder");
        fs::set_permissions(&password, Permissions::from_mode(0o600)).expect("our file");
        authority
    }

    /// Issues a server's key.
    pub fn server(&self, name: &str) {
        self.ca.server(name, DAYS, PASSWORD, now()).expect("a new name");
    }

    /// Issues a client's key.
    pub fn client(&self, name: &str, allowed: &[&str]) {
        let allowed: Vec<Service> =
            allowed.iter().map(|text| text.parse().expect("a service")).collect();
        self.ca.client(name, &allowed, DAYS, PASSWORD, now()).expect("a new name");
    }

    /// Revokes a certificate and publishes the CRL.
    pub fn revoke(&self, name: &str) {
        self.ca.revoke(name, Reason::KeyCompromise, now()).expect("it is known");
    }

    /// Publishes a new revocation list, valid for `days`.
    pub fn publish(&self, days: u32) {
        self.ca.crl(days, now()).expect("our folder");
    }

    /// The latest revocation list (DER).
    pub fn crl(&self) -> Vec<u8> {
        fs::read(self.ca.crl_file()).expect("there always is one")
    }

    /// The authority itself, for other operations.
    pub fn ca(&self) -> &sknock_certs::Authority {
        &self.ca
    }

    /// A file of the authority: `gate.pfx`, `gate.cer`, `alice.pfx`, `ca.pem`, ...
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("ca").join(name)
    }

    /// A file that holds [`PASSWORD`].
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// A client's key and certificate.
    pub fn identity(&self, name: &str) -> Identity {
        let file = self.file(&format!("{name}.pfx"));
        sknock::open_identity(file, PASSWORD).expect("we have just made it")
    }

    /// What clients know of a server.
    pub fn server_certificate(&self, name: &str) -> ServerCertificate {
        let file = self.file(&format!("{name}.cer"));
        sknock::open_server_certificate(file).expect("we have just made it")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A new folder that all users may traverse, as the network process must.
pub(crate) fn traversable_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    open_to_pass(folder.path());
    folder
}

fn open_to_pass(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o711)).expect("our folder");
}
