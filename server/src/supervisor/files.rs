//! Opens, with privilege, the files that the network process will read. Reads none of them: code that parses
//! certificates runs without privilege.
//!
//! Opens the saved CRLs. A compromised network process may have written to the folder: no content of it may
//! prevent a start, and nothing is opened that the process's own user may not open.

use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use nix::unistd::{geteuid, setfsgid, setfsuid};
use sknock_storage::{Follow, open_regular};
use tracing::warn;

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
        let revocation =
            file.zip(account).and_then(|(path, account)| open_saved_list(path, account));
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
                    acting_as(account, make)?;
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
    if holds_foreign_files(path)? {
        let text = "it belongs to another user and holds files that are not from sknockd. Set an \
                    empty or new directory";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    chown(path, Some(uid), Some(gid))?;
    // Not chown, which follows links: the former owner may have put one here.
    path.read_dir()?.try_for_each(|entry| lchown(entry?.path(), Some(uid), Some(gid)))
}

/// Whether a folder has files that are not of a network process. Files of a run with another account are none.
pub(crate) fn holds_foreign_files(path: &Path) -> io::Result<bool> {
    path.read_dir()?.try_fold(false, |foreign, entry| {
        let name = entry?.file_name();
        Ok(foreign || !is_ours(&name.to_string_lossy()))
    })
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
    // A FIFO would block the privileged process, and with it revocation and `close`.
    let opened = open_regular(path, Follow::Links).map(OwnedFd::from);
    opened.map_err(|error| Unusable { key, path: path.to_owned(), error })
}

/// Opens the file at `path` if it is usable; otherwise logs the reason.
fn open_saved_list(path: &Path, account: Account) -> Option<OwnedFd> {
    let opened = if is_in_reach(path, account) {
        acting_as(account, || open_regular(path, Follow::Never))
    } else {
        open_regular(path, Follow::Links)
    };
    match opened {
        Ok(file) => Some(file.into()),
        // Missing CRLs will be fetched.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            let path = path.display();
            warn!("crlFile: cannot use {path}: {error}. The start continues without it");
            None
        }
    }
}

/// Whether this account could have replaced the file, or a folder above it.
fn is_in_reach(path: &Path, account: Account) -> bool {
    let writes = |(place, folder): (usize, &Path)| {
        folder.symlink_metadata().is_ok_and(|found| {
            let group = found.gid() == account.gid.as_raw() && found.mode() & 0o020 != 0;
            // In a sticky folder such as /tmp only the owner can replace a file.
            let others = found.mode() & 0o002 != 0 && (place == 0 || found.mode() & 0o1000 == 0);
            found.uid() == account.uid.as_raw() || group || others
        })
    };
    path.ancestors().skip(1).enumerate().any(writes)
}

/// Runs `work` with this account's rights to files only.
pub(crate) fn acting_as<T>(
    account: Account,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    if geteuid() == account.uid {
        return work();
    }
    // The group first: changing the user drops the right to change the group. Both calls only return the
    // previous id, never an error, so they are called again to check.
    let group = setfsgid(account.gid);
    // From root, this also takes CAP_DAC_READ_SEARCH, CAP_CHOWN and others from the effective set
    // (capabilities(7)).
    let user = setfsuid(account.uid);
    let changed = setfsuid(account.uid) == account.uid && setfsgid(account.gid) == account.gid;
    let result = if changed { work() } else { Err(io::ErrorKind::PermissionDenied.into()) };
    // Back to root, the kernel makes those of them effective that are permitted: `with_capabilities` takes
    // them away.
    setfsuid(user);
    setfsgid(group);
    result
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::PathBuf;

    use nix::unistd::{Gid, Uid};

    use super::*;

    const ACCOUNT: Account = Account { uid: Uid::from_raw(65534), gid: Gid::from_raw(65534) };

    fn folder(owner: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o711)).unwrap();
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        chown(&state, Some(owner), Some(owner)).expect("these tests run as root");
        (folder, state.join("crl.der"))
    }

    #[test]
    fn the_saved_crl_is_opened_with_the_rights_of_the_network_processes_user() {
        let (folder, path) = folder(65534);
        fs::write(&path, "list").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(open_saved_list(&path, ACCOUNT).is_some());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(open_saved_list(&path, ACCOUNT).is_none(), "only root may read it");
        fs::remove_file(&path).unwrap();
        let secret = folder.path().join("secret");
        for (content, mode) in [("secret", 0o600), ("public", 0o644)] {
            fs::write(&secret, content).unwrap();
            fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
            symlink(&secret, &path).unwrap();
            assert!(open_saved_list(&path, ACCOUNT).is_none(), "a link");
            fs::remove_file(&path).unwrap();
        }
        // A parent folder.
        fs::remove_dir(path.parent().unwrap()).unwrap();
        symlink(folder.path(), path.parent().unwrap()).unwrap();
        std::os::unix::fs::lchown(path.parent().unwrap(), Some(65534), None).unwrap();
        fs::write(folder.path().join("crl.der"), "secret").unwrap();
        fs::set_permissions(folder.path().join("crl.der"), Permissions::from_mode(0o600)).unwrap();
        assert!(open_saved_list(&path, ACCOUNT).is_none(), "a folder that is a link");
        assert!(nix::unistd::access("/etc/shadow", nix::unistd::AccessFlags::R_OK).is_ok());
    }

    #[test]
    fn a_fifo_or_folder_is_refused_without_waiting() {
        let (_folder, path) = folder(65534);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        chown(&path, Some(65534), None).unwrap();
        assert!(open_saved_list(&path, ACCOUNT).is_none());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(open_saved_list(&path, ACCOUNT).is_none());
    }

    #[test]
    fn a_list_of_the_administrator_may_be_a_link_and_secret() {
        let (folder, path) = folder(0);
        let secret = folder.path().join("secret");
        fs::write(&secret, "list").unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        symlink(&secret, &path).unwrap();
        assert!(open_saved_list(&path, ACCOUNT).is_some());
    }
}
