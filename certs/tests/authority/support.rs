//! A fresh authority in a temporary folder, and openssl to judge it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sknock_certs::{Authority, Issued};
use sknock_protocol::{Service, Timestamp};
use tempfile::TempDir;

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) const PASSWORD: &str = "a password";

pub(crate) struct House {
    pub(crate) authority: Authority,
    pub(crate) dir: PathBuf,
    folder: TempDir,
}

impl House {
    /// An authority for ten years from [`NOW`].
    pub(crate) fn new() -> Self {
        Self::named(None)
    }

    pub(crate) fn named(name: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("ca");
        let authority = Authority::init(&dir, name, 3650, NOW).unwrap();
        Self { authority, dir, folder }
    }

    pub(crate) fn client(&self, name: &str, services_: &str) -> Issued {
        self.authority.client(name, &services(services_), 365, PASSWORD, NOW).unwrap()
    }

    pub(crate) fn server(&self, name: &str) -> Issued {
        self.authority.server(name, 365, PASSWORD, NOW).unwrap()
    }

    /// A path beside the authority's folder.
    pub(crate) fn beside(&self, name: &str) -> String {
        text(&self.folder.path().join(name))
    }

    /// The path of a file in the authority's folder.
    pub(crate) fn file(&self, name: &str) -> String {
        text(&self.dir.join(name))
    }

    /// A certificate's text, as openssl prints it, from `NAME.pfx`.
    pub(crate) fn print(&self, name: &str) -> String {
        let pem = self.extract(name);
        let text = openssl(&["x509", "-noout", "-text", "-in", &pem]);
        // long values are wrapped, and white space carries no meaning
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The certificate of `NAME.pfx` as a PEM file.
    pub(crate) fn extract(&self, name: &str) -> String {
        let pem = self.beside(&format!("{name}.pem"));
        let password = self.password_file(PASSWORD);
        let pfx = self.file(&format!("{name}.pfx"));
        openssl(&[
            "pkcs12", "-in", &pfx, "-passin", &password, "-clcerts", "-nokeys", "-out", &pem,
        ]);
        pem
    }

    /// Where openssl finds a password.
    pub(crate) fn password_file(&self, password: &str) -> String {
        let path = self.beside("password");
        fs::write(&path, format!("{password}\n")).unwrap();
        format!("file:{path}")
    }

    /// What lies in the authority's folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = fs::read_dir(&self.dir)
            .unwrap()
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// What openssl says, on both outputs, if it approves.
pub(crate) fn openssl(args: &[&str]) -> String {
    let (success, text) = try_openssl(args);
    assert!(success, "openssl {args:?}: {text}");
    text
}

/// Whether openssl approves, and what it says.
pub(crate) fn try_openssl(args: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(args).output();
    let Output { status, stdout, stderr } = output.expect("openssl 3 must be installed");
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.success(), text)
}

/// Services from text, separated by spaces.
pub(crate) fn services(text: &str) -> Vec<Service> {
    text.split_whitespace().map(|service| service.parse().unwrap()).collect()
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

pub(crate) fn days(count: u64) -> u64 {
    count * 86_400
}

pub(crate) fn later(seconds: u64) -> Timestamp {
    Timestamp::from_secs(NOW.as_secs() + seconds)
}
