//! Whom the unit runs sknockd as, and whether they may read what the configuration names. Run by hand
//! as root, it reads everything; systemd then finds that it does not.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use nix::unistd::{User, getgrouplist};

use super::{Content, Finding, Found, Host};
use crate::config::{PasswordSource, Settings};

/// Where units are, the first that is there counts.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/sknockd.service",
    "/usr/lib/systemd/system/sknockd.service",
    "/lib/systemd/system/sknockd.service",
];

/// A user that files may be closed to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reader {
    /// What the unit calls it.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its own group and those that it was put into.
    pub groups: Vec<u32>,
}

impl Reader {
    /// The user of the unit that is installed here, if there is one and it is not root's.
    pub(super) fn of_the_unit() -> Option<Self> {
        let text = UNITS.iter().find_map(|path| fs::read_to_string(path).ok())?;
        let name = text.lines().filter_map(|line| line.strip_prefix("User=")).next_back()?.trim();
        let user = User::from_name(name).ok()??;
        let groups = getgrouplist(&CString::new(name).ok()?, user.gid).ok()?;
        let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
        Some(Self { name: name.to_owned(), uid: user.uid.as_raw(), groups })
            .filter(|reader| reader.uid != 0)
    }

    fn may_read(&self, file: &Content) -> bool {
        // The kernel asks the first that fits, and no other.
        let bit = match file {
            _ if file.owner == self.uid => 0o400,
            _ if self.groups.contains(&file.group) => 0o040,
            _ => 0o004,
        };
        file.mode & bit != 0
    }
}

/// Adds the files that the unit's user may not read.
pub(super) fn examine(
    settings: &Settings,
    found: &Found,
    host: &Host,
    findings: &mut Vec<Finding>,
) {
    let Some(reader) = &host.reader else { return };
    let password = match &settings.keys.password {
        PasswordSource::File(path) => Some(path.as_path()),
        PasswordSource::Inline(_) | PasswordSource::None => None,
    };
    let revocation = &settings.revocation;
    let files: [(&str, Option<&Path>, _); 5] = [
        ("serverPFXFile", Some(&settings.keys.pfx), &found.pfx),
        ("PFXPasswdFile", password, &found.password),
        ("caFile", settings.keys.authorities.as_deref(), &found.authorities),
        ("crlFile", revocation.file.as_deref(), &found.list),
        ("crlTlsCaFile", revocation.tls_authorities.as_deref(), &found.tls_authorities),
    ];
    for (key, path, file) in files {
        let (Some(path), Some(Ok(file))) = (path, file) else { continue };
        if !reader.may_read(file) {
            let (name, path) = (&reader.name, path.display());
            findings.push(Finding::warning(
                format!("{key}: the unit runs as {name}, who may not read {path}"),
                format!("chgrp {name} {path} && chmod 640 {path}"),
            ));
        }
    }
}
