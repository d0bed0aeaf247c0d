//! Opens, with privilege, the files that the network process will read. Reads none of them: code that parses
//! certificates runs without privilege.

use std::fmt;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};

use super::list;
use super::privilege::Account;
use crate::config::{PasswordSource, Settings};
use crate::network::handover::{Descriptors, number, secret_file};

/// Open files, not read here.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) bundle: OwnedFd,
    pub(crate) password: OwnedFd,
    pub(crate) authorities: Option<OwnedFd>,
    pub(crate) revocation: Option<OwnedFd>,
    pub(crate) web_authorities: Option<OwnedFd>,
}

/// A required file or folder that cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    key: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl Unusable {
    /// Whether the configuration names the path; a missing setting is another problem.
    pub(crate) fn is_named(&self) -> bool {
        !self.path.as_os_str().is_empty()
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, path, error } = self;
        write!(f, "{key}: cannot use {}: {error}", path.display())?;
        match error.kind() {
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => Ok(()),
            io::ErrorKind::NotFound => write!(f, ". Create it or correct {key}"),
            io::ErrorKind::PermissionDenied => write!(f, ". sknockd must be able to read it"),
            _ => Ok(()),
        }
    }
}

impl Files {
    /// Their descriptor numbers, with those of the process's other inputs.
    pub(super) fn descriptors(
        &self,
        orders: RawFd,
        links: Vec<RawFd>,
        knock_sockets: Vec<RawFd>,
    ) -> Descriptors {
        Descriptors {
            orders,
            links,
            knock_sockets,
            bundle: number(&self.bundle),
            password: number(&self.password),
            authorities: self.authorities.as_ref().map(number),
            revocation: self.revocation.as_ref().map(number),
            web_authorities: self.web_authorities.as_ref().map(number),
        }
    }

    /// Opens all files, or returns all errors. `account` is that of the network process; without one, no CRL
    /// is opened.
    pub(crate) fn open(
        settings: &Settings,
        account: Option<Account>,
    ) -> Result<Self, Vec<Unusable>> {
        let bundle = open("serverPFXFile", &settings.keys.pfx);
        let password = password(&settings.keys.password);
        let authorities = optional("caFile", settings.keys.authorities.as_deref());
        let web = settings.revocation.tls_authorities.as_deref();
        let web_authorities = optional("crlTlsCaFile", web);
        let file = settings.revocation.file.as_deref();
        let revocation = file.zip(account).and_then(|(path, account)| list::open(path, account));
        match (bundle, password, authorities, web_authorities) {
            (Ok(bundle), Ok(password), Ok(authorities), Ok(web_authorities)) => {
                Ok(Self { bundle, password, authorities, revocation, web_authorities })
            }
            (bundle, password, authorities, web) => {
                let needed = [bundle.err(), password.err()].into_iter();
                let optional = [authorities.err(), web.err()];
                Err(needed.chain(optional).flatten().collect())
            }
        }
    }
}

impl Files {
    /// All descriptors.
    pub(crate) fn all(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let optional = [&self.authorities, &self.revocation, &self.web_authorities];
        let needed = [&self.bundle, &self.password].into_iter();
        needed.chain(optional.into_iter().flatten()).map(AsFd::as_fd)
    }
}

/// Makes sure that the folder of the network process exists and belongs to it.
pub(crate) fn prepare_folder(settings: &Settings, account: Account) -> Result<(), Unusable> {
    let state = &settings.process.state;
    own_folder(state, account).map_err(|error| Unusable {
        key: "stateDir",
        path: state.clone(),
        error,
    })
}

/// Makes the missing parent folders of `path`, with mode 0755 whatever the umask: the network process must
/// traverse them.
pub(super) fn make_above(path: &Path) -> io::Result<()> {
    let folders: Vec<&Path> = path.ancestors().skip(1).collect();
    for folder in folders.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        match DirBuilder::new().mode(0o755).create(folder) {
            Ok(()) => fs::set_permissions(folder, Permissions::from_mode(0o755))?,
            Err(_) if folder.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Changes the owner of a folder to the network process's user, unless it contains files of another user:
/// `/var/log`, configured by mistake, must stay unchanged.
fn own_folder(path: &Path, account: Account) -> io::Result<()> {
    let (uid, gid) = (account.uid.as_raw(), account.gid.as_raw());
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let make = || {
                make_above(path)?;
                DirBuilder::new().mode(0o700).create(path)
            };
            match make() {
                // Only the account may write to the folder above. We gave up the right to write everywhere.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    list::acting_as(account, make)?;
                }
                result => result?,
            }
            return chown(path, Some(uid), Some(gid));
        }
        Err(error) => return Err(error),
        Ok(found) if found.is_dir() && found.uid() == uid => return Ok(()),
        Ok(found) if !found.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
        Ok(_) => {}
    }
    // Files of another user, or of a run with another account.
    let foreign = path.read_dir()?.try_fold(false, |foreign, entry| {
        let name = entry?.file_name();
        io::Result::Ok(foreign || !is_ours(&name.to_string_lossy()))
    })?;
    if foreign {
        let text = "it belongs to another user and holds files that are not from sknockd. Set an \
                    empty or new directory";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    chown(path, Some(uid), Some(gid))?;
    path.read_dir()?.try_for_each(|entry| lchown(entry?.path(), Some(uid), Some(gid)))
}

/// The network process's files in its folders.
const OURS: [&str; 5] = ["journal.0", "journal.1", "horizon", "crl.der", "crl.der.new"];

/// Includes objects that were renamed because they occupied such a path.
fn is_ours(name: &str) -> bool {
    let begins = |ours: &&str| name.strip_prefix(*ours);
    OURS.iter().filter_map(begins).any(|rest| rest.is_empty() || rest.starts_with(".unusable-"))
}

fn password(source: &PasswordSource) -> Result<OwnedFd, Unusable> {
    let inline = |secret: &[u8]| {
        secret_file(secret).map_err(|error| Unusable {
            key: "PFXPasswd",
            path: "a memory file".into(),
            error,
        })
    };
    match source {
        PasswordSource::Inline(secret) => inline(secret.as_str().as_bytes()),
        PasswordSource::File(path) => open("PFXPasswdFile", path),
        PasswordSource::Credential(path) => open("systemd credential", path),
        PasswordSource::None => inline(b""),
    }
}

fn optional(key: &'static str, path: Option<&Path>) -> Result<Option<OwnedFd>, Unusable> {
    path.map(|path| open(key, path)).transpose()
}

fn open(key: &'static str, path: &Path) -> Result<OwnedFd, Unusable> {
    let opened = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
        }
        Ok(file.into())
    });
    opened.map_err(|error| Unusable { key, path: path.to_owned(), error })
}
