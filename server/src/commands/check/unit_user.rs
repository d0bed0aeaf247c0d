//! Whether the unit's user can open what the configuration names, and the configuration: each is opened as
//! that user. Run by hand as root, sknockd reads everything; systemd then finds that it does not.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, geteuid, getgroups, setgroups};
use sknock_storage::{Follow, open_regular};

use super::unit::{FileReader, Unit};
use super::{Finding, Host, StateFolder, unit};
use crate::config::{PasswordSource, Settings};
use crate::supervisor::{Account, acting_as};

/// A file or folder that the unit cannot use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnusablePath {
    /// The key that names it.
    pub key: &'static str,
    /// What it names.
    pub path: PathBuf,
    /// Whom the unit runs sknockd as.
    pub user: String,
    /// What is in the way.
    pub by: Obstacle,
}

/// What is in the way of the unit's user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Obstacle {
    /// The file itself may not be read.
    File,
    /// A folder above it may not be passed through.
    Folder(PathBuf),
    /// The unit does not see it, because of this key of the unit.
    Unseen(&'static str),
    /// The unit may not write to it, regardless of its owner.
    WriteProtected,
    /// It is not there, and the user may not make it in this folder.
    NotCreatable(PathBuf),
}

/// Tries everything that is named, as the user of the unit that is installed here. The error says what
/// could not be looked at.
pub(super) fn look(settings: Option<&Settings>, config: &Path, host: &mut Host) {
    let Some(unit) = Unit::installed_for(config) else { return };
    host.sealed_password = unit::unreadable(&unit);
    let Some(reader) = unit.reader() else { return };
    let files = named(settings, config);
    // What systemd makes needs nothing.
    let state = settings.map(|settings| &settings.process.state);
    let to_make = state.filter(|state| !unit.makes(state));
    let tried = acting_as_reader(&reader, || {
        let files = files.iter().map(|(key, path)| (*key, path, obstacle(path)));
        let state = to_make.map(|path| ("stateDir", path, not_creatable(path)));
        Ok(files.chain(state).filter_map(|(key, path, by)| Some((key, path, by?))).collect())
    });
    let unseen = files.iter().filter_map(|(key, path)| {
        let by = Obstacle::Unseen(unit.hides(path)?);
        Some((*key, path, by))
    });
    let mut found: Vec<_> = unseen.collect();
    match tried {
        Ok(tried) => {
            let tried: Vec<_> = tried;
            found.extend(tried);
        }
        Err(error) => {
            let name = &reader.name;
            host.unlooked.push(format!("access of user {name} to the configured files: {error}"));
        }
    }
    let closed = |(key, path, by): (_, &PathBuf, _)| UnusablePath {
        key,
        path: path.clone(),
        user: reader.name.clone(),
        by,
    };
    host.closed = found.into_iter().map(closed).collect();
    if let Some(state) = state.filter(|state| unit.write_protects(state)) {
        host.closed.push(closed(("stateDir", state, Obstacle::WriteProtected)));
    }
}

/// What the privileged process opens, by key.
fn named(settings: Option<&Settings>, config: &Path) -> Vec<(&'static str, PathBuf)> {
    let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
    let mut files = vec![("configuration", config)];
    let Some(settings) = settings else { return files };
    let password = match &settings.keys.password {
        PasswordSource::File(path) => Some(path),
        // systemd opens a credential, as root.
        PasswordSource::Credential(_) | PasswordSource::Inline(_) | PasswordSource::None => None,
    };
    let revocation = &settings.revocation;
    let more = [
        ("serverPFXFile", Some(&settings.keys.pfx)),
        ("PFXPasswdFile", password),
        ("caFile", settings.keys.authorities.as_ref()),
        ("crlFile", revocation.file.as_ref()),
        ("crlTlsCaFile", revocation.tls_authorities.as_ref()),
    ];
    files.extend(more.into_iter().filter_map(|(key, path)| Some((key, path?.clone()))));
    files
}

/// What keeps the user that we act as from reading this file. What is not there is no obstacle.
fn obstacle(path: &Path) -> Option<Obstacle> {
    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    open_regular(path, Follow::Links).err().filter(denied)?;
    let passable = |folder: &&Path| {
        // To ask for what is not there takes passing through, too.
        folder.join("sknock-is-not-here").symlink_metadata().is_err_and(|error| denied(&error))
    };
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.reverse();
    let closed = folders.into_iter().find(passable);
    Some(closed.map_or(Obstacle::File, |folder| Obstacle::Folder(folder.to_owned())))
}

/// What keeps the user that we act as from making this folder.
fn not_creatable(path: &Path) -> Option<Obstacle> {
    match StateFolder::look(path, None) {
        StateFolder::NotCreatable { above, .. } => Some(Obstacle::NotCreatable(above)),
        _ => None,
    }
}

/// Does `work` with the rights to files that the reader has. Its groups are those of the whole process
/// meanwhile.
fn acting_as_reader<T>(reader: &FileReader, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let uid = Uid::from_raw(reader.uid);
    if !geteuid().is_root() {
        let somebody_else = || io::Error::other("needs root");
        return if geteuid() == uid { work() } else { Err(somebody_else()) };
    }
    let gid = reader.groups.first().copied().unwrap_or(Gid::from_raw(reader.uid));
    let ours = getgroups()?;
    // `acting_as` changes only the user and the group for file access: with its own supplementary groups root
    // could still read what the unit's user cannot.
    setgroups(&reader.groups)?;
    let done = acting_as(Account { uid, gid }, work);
    setgroups(&ours)?;
    done
}

/// Adds what the unit cannot use.
pub(super) fn examine(host: &Host, findings: &mut Vec<Finding>) {
    findings.extend(host.closed.iter().map(|UnusablePath { key, path, user, by }| {
        let path = path.display();
        match by {
            Obstacle::File => Finding::error(
                format!("{key}: user {user} of the unit cannot read {path}"),
                format!("Run: chgrp {user} {path} && chmod 640 {path}"),
            ),
            Obstacle::Folder(folder) => Finding::error(
                format!(
                    "{key}: user {user} of the unit has no search permission (x) on {} for {path}",
                    folder.display()
                ),
                format!("Run: chmod o+x {}, or move the file to /etc/sknock", folder.display()),
            ),
            Obstacle::Unseen(by) => Finding::error(
                format!("{key}: the unit cannot access {path}: {by}= in the unit"),
                "Move the file to /etc/sknock",
            ),
            Obstacle::NotCreatable(above) => Finding::error(
                format!("{key}: user {user} of the unit cannot make {path} in {}", above.display()),
                format!("Run: install -d -m 700 -o {user} {path}"),
            ),
            Obstacle::WriteProtected => Finding::error(
                format!("{key}: the unit cannot write to {path}"),
                format!(
                    "Leave {key} at /var/lib/sknock, or run `systemctl edit sknockd` and add \
                         ReadWritePaths={path}"
                ),
            ),
        }
    }));
}
